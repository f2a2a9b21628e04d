import sys

import trio

from triojob import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        job = client.submit("Ada", api_name="/greet")  # returns at once
        print(job.status().code.name, job.done)

        print(await job.result())  # again and again, in as many tasks as you like
        print(await job.result())
        print(job.outputs(), job.status().code.name, job.status().success)


trio.run(main)

# prints:
# > STARTING False
# > Hello Ada!
# > Hello Ada!
# > ['Hello Ada!'] FINISHED True
