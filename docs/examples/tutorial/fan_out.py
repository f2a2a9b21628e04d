import trio

from triojob import Client, JobGroup, gather


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        read_page = client.endpoint("/read_page")
        async with JobGroup(limit=4) as group:
            jobs = [group.submit(read_page, n) for n in range(1, 11)]
            print(group)
        print(group)
        print(await gather(*jobs))


trio.run(main)

# prints:
# > <JobGroup: 10 running or waiting>
# > <JobGroup: closed>
# > ('page 1', 'page 2', 'page 3', 'page 4', 'page 5', ..., 'page 10')
