import tempfile

import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def main(folder: str) -> None:
    async with Client(URL) as client:
        job = client.submit(3, 0.1, api_name="/radio")
        async for file in job:
            async for part in file.segments():  # as they arrive
                print(part)
            break
        file = await job.result()
        path = await file.save(folder)  # the whole stream, as one file
        print(path.read_bytes())


with tempfile.TemporaryDirectory() as name:
    trio.run(main, name)

# prints:
# > b'part 0;'
# > b'part 1;'
# > b'part 2;'
# > b'part 0;part 1;part 2;'
