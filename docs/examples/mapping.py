import itertools
from functools import partial

import trio

import triojob

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with triojob.Client(URL) as client:
        greet = client.endpoint("/greet")

        async with triojob.map(greet, ["Ada", "Grace", "Edsger"], limit=2) as results:
            async for hello in results:
                print(hello)

        pages = (f"page {n}" for n in itertools.count(1))  # infinite
        load = partial(client.endpoint("/parallel_sleep"), 0.1)  # the first argument of each call
        async with triojob.map(load, pages, limit=8) as results:
            async for page in results:
                print(page)
                if page == "page 3":
                    break  # leaving the block cancels the running calls


trio.run(main)

# prints:
# > Hello Ada!
# > Hello Grace!
# > Hello Edsger!
# > page 1
# > page 2
# > page 3
