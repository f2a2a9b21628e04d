import trio

from triojob import JobGroup, JobTimeout


async def work() -> None:
    await trio.sleep(0.5)
    print("the work continues")


async def main() -> None:
    async with JobGroup() as group:
        job = group.submit(work)
        try:
            await job.result(timeout=0.1)
        except JobTimeout as exc:
            job.cancel(str(exc))
            print("too slow")
    print("the group has ended")


trio.run(main)

# prints:
# > too slow
# > the group has ended
