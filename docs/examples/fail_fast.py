import sys

import trio

from triojob import Client, JobGroup

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        try:
            async with JobGroup(fail_fast=True) as group:
                sibling = group.submit(client.endpoint("/slow"), 60, "sibling")
                sibling.on_result(lambda job: print("sibling:", job.status().code.name))
                group.submit(client.endpoint("/fail"))
        except ExceptionGroup as failures:
            print("raised by the group:", failures.exceptions)


trio.run(main)

# prints:
# > sibling: CANCELLED
# > raised by the group: (AppError('boom'),)
