import copy
import sys

import trio

from triojob import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        job = client.submit("hello", 3, 0.05, api_name="/chat")
        await job.wait()

        first, second, last = job.outputs()
        print(first is second)  # two chat histories
        print(first[0] is second[0])  # and one message that both hold

        mine = copy.deepcopy(last)  # to change it, copy it
        mine[0]["role"] = "me"
        print(last[0]["role"])


trio.run(main)

# prints:
# > False
# > True
# > user
