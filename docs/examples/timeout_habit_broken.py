import trio

from triojob import JobGroup, JobTimeout


async def work() -> None:
    await trio.sleep(0.5)
    print("the work continues")


async def main() -> None:
    async with JobGroup() as group:
        job = group.submit(work)
        try:
            # asyncio.wait_for would cancel; this does not, and the group then waits for the job.
            await job.result(timeout=0.1)
        except JobTimeout:
            print("too slow")
    print("the group has ended")


trio.run(main)

# prints:
# > too slow
# > the work continues
# > the group has ended
