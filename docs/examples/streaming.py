import sys

import trio

from triojob import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        job = client.submit(4, 0.05, api_name="/tokens")
        async for text in job:
            print("live:", text)
            if text.endswith("tok1"):
                break  # leaves the job alone

        print("result:", await job.result())
        async for text in job:  # a loop of its own: from the first output again
            print("again:", text)


trio.run(main)

# prints:
# > live: tok0
# > live: tok0 tok1
# > result: tok0 tok1 tok2 tok3
# > again: tok0
# > again: tok0 tok1
# > again: tok0 tok1 tok2
# > again: tok0 tok1 tok2 tok3
