from functools import partial

import trio

from triojob import Client, gather

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        # In the app: upper_batch(texts: list[str]), with batch=True and max_batch_size=8
        upper = client.endpoint("/upper_batch")
        print(await gather(*[partial(upper, word) for word in ("one", "two", "three")]))


trio.run(main)

# prints:
# > ('ONE', 'TWO', 'THREE')
