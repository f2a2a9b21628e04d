import sys

import trio

import triojob

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


async def invert(number: int) -> float:
    await trio.sleep(0.01)
    return 1 / number


async def main() -> None:
    print("The first failure ends it:")
    try:
        async with triojob.map(invert, [4, 0, 2]) as results:
            async for result in results:
                print(result)
    except ExceptionGroup as failures:
        print(failures.exceptions)

    print("All failures, at the end:")
    try:
        async with triojob.map(invert, [4, 0, 2], fail_fast=False) as results:
            async for result in results:
                print(result)
    except ExceptionGroup as failures:
        print(failures.exceptions)

    print("Each failure beside its item:")
    async with triojob.map(invert, [4, 0, 2], return_jobs=True) as results:
        async for number, job in results:
            if job.exception() is None:
                print(number, "->", await job.result())
            else:
                print(number, "->", repr(job.exception()))


trio.run(main)

# prints:
# > The first failure ends it:
# > 0.25
# > (ZeroDivisionError('division by zero'),)
# > All failures, at the end:
# > 0.25
# > 0.5
# > (ZeroDivisionError('division by zero'),)
# > Each failure beside its item:
# > 4 -> 0.25
# > 0 -> ZeroDivisionError('division by zero')
# > 2 -> 0.5
