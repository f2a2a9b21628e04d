import sys

import trio

from triojob import AppError, Client, JobGroup

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        fail, greet = client.endpoint("/fail"), client.endpoint("/greet")

        async with JobGroup() as group:
            failing, fine = group.submit(fail), group.submit(greet, "Ada")
            try:
                await failing.result()
            except AppError as exc:
                print("retrieved:", exc)
        print("the group raised nothing;", await fine.result())

        try:
            async with JobGroup() as group:
                group.submit(fail)  # nobody retrieves its failure
                group.submit(greet, "Ada")
        except ExceptionGroup as failures:
            print("raised by the group:", failures.exceptions)


trio.run(main)

# prints:
# > retrieved: boom
# > the group raised nothing; Hello Ada!
# > raised by the group: (AppError('boom'),)
