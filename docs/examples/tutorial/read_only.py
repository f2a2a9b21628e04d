import copy

import trio

from triojob import Client


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        job = client.submit("one two three", api_name="/chat")
        await job.wait()

        first, second, last = job.outputs()
        print(first is second)  # two histories
        print(first[0] is second[0])  # that share their first message

        mine = copy.deepcopy(last)  # copy what you change
        mine[0]["role"] = "me"
        print(last[0]["role"])


trio.run(main)

# prints:
# > False
# > True
# > user
