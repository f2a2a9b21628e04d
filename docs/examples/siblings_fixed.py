import uuid

import trio

from triojob import Client, JobGroup

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        key = uuid.uuid4().hex  # the app records under it what the unwanted run did
        async with JobGroup() as group:
            ticker = client.endpoint("/ticker")  # each call has its own session
            wanted = group.submit(ticker, 30, 0.1, uuid.uuid4().hex)
            unwanted = group.submit(ticker, 25, 0.05, key)
            await anext(aiter(wanted))
            await anext(aiter(unwanted))
            unwanted.cancel()
            print("result:", await wanted.result())

        record = await client.predict(key, api_name="/probe")
        print("the unwanted run ran to its end:", bool(record.get("finished")))


trio.run(main)

# prints:
# > result: 29
# > the unwanted run ran to its end: False
