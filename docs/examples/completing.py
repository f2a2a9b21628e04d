import trio

from triojob import JobGroup, as_completed


async def boil(minutes: float) -> str:
    await trio.sleep(minutes / 60)
    return f"boiled for {minutes} minutes"


async def main() -> None:
    async with JobGroup() as group:
        eggs = [group.submit(boil, minutes) for minutes in (9, 5, 7)]
        async for job in as_completed(eggs):
            print(await job.result())


trio.run(main)

# prints:
# > boiled for 5 minutes
# > boiled for 7 minutes
# > boiled for 9 minutes
