from collections.abc import AsyncIterator

import trio

from triojob import JobGroup


async def count(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


async def main() -> None:
    async with JobGroup(history=3) as group:
        job = group.submit(count, 1000)
        await job.wait()
        print(job.outputs(), "are kept;", job.dropped, "are not")


trio.run(main)

# prints:
# > [997, 998, 999] are kept; 997 are not
