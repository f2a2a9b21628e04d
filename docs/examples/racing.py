from functools import partial

import trio

from triojob import Client, first_completed, first_success

URL = "http://127.0.0.1:7860"


async def cached(question: str) -> str:
    raise KeyError(question)


async def main() -> None:
    async with Client(URL) as client:
        quick, slow = client.endpoint("/parallel_sleep"), client.endpoint("/slow")

        calls = partial(cached, "why?"), partial(quick, 0.1, "because"), partial(slow, 60, "")

        print(await first_success(*calls))  # the cache fails; /slow is cancelled, in the app too

        job = await first_completed(*calls)  # the cache, which cancels both others
        print(job.name, repr(job.exception()))


trio.run(main)

# prints:
# > because
# > cached KeyError('why?')
