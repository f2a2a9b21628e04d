import sys
from functools import partial

import trio

from triojob import Client, gather

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        greet, add, fail = (client.endpoint(name) for name in ("/greet", "/add", "/fail"))

        hello, numbers = await gather(partial(greet, "Ada"), partial(add, 1, 2))
        print(hello, numbers)

        try:
            await gather(fail, partial(greet, "Ada"), fail)
        except ExceptionGroup as failures:
            print(failures)

        for job in await gather(fail, partial(greet, "Ada"), return_jobs=True):
            print(job.name, job.exception() or await job.result())


trio.run(main)

# prints:
# > Hello Ada! (3, 2)
# > 2 of 3 gathered calls failed (2 sub-exceptions)
# > /fail boom
# > /greet Hello Ada!
