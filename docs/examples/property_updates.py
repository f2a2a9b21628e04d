import trio

from triojob import Client, PropertyUpdate

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        # In the app: return gr.update(label="changed", value=text.upper())
        print(await client.predict("hi", api_name="/update_props"))
        # In the app: return gr.update(label="changed")
        output = await client.predict(api_name="/update_props_only")
        print(isinstance(output, PropertyUpdate), output["label"])


trio.run(main)

# prints:
# > HI
# > True changed
