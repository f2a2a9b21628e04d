import sys

import trio

from triojob import Client, JobGroup

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        greet = client.endpoint("/greet")
        print(await greet("Ada"))  # a plain call

        async with JobGroup(limit=2) as group:  # three calls as jobs, two of them at once
            jobs = [group.submit(greet, name) for name in ("Grace", "Edsger", "Barbara")]
        print([await job.result() for job in jobs])

        story = client.submit(3, 0.1, api_name="/tokens")  # a job that streams
        async for text in story:
            print(text)


trio.run(main)

# prints:
# > Hello Ada!
# > ['Hello Grace!', 'Hello Edsger!', 'Hello Barbara!']
# > tok0
# > tok0 tok1
# > tok0 tok1 tok2
