import sys

import trio

from triojob import Client, JobGroup, gather

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        sleep = client.endpoint("/parallel_sleep")
        async with JobGroup(limit=4) as group:
            jobs = [group.submit(sleep, 0.1, f"page {n}") for n in range(1, 11)]
            print(group)
        print(group)
        print(await gather(*jobs))


trio.run(main)

# prints:
# > <JobGroup: 10 running or waiting>
# > <JobGroup: closed>
# > ('page 1', 'page 2', 'page 3', 'page 4', 'page 5', ..., 'page 10')
