import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        selected = client.endpoint("/selected")  # in the app: selected(text, event: gr.SelectData)
        third = selected.with_event_data({"index": 2, "value": "c"})
        print(await third("abc"))


trio.run(main)

# prints:
# > {'text': 'abc', 'index': 2, 'value': 'c', 'target': None}
