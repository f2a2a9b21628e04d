import trio

from triojob import Client


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        print(await client.predict("Ada", api_name="/greet"))

        add = client.endpoint("/add")
        print(add)
        print(await add(2, b=3))  # an endpoint with two outputs returns a tuple


trio.run(main)

# prints:
# > Hello Ada!
# > <Endpoint /add(a, b)>
# > (5, 6)
