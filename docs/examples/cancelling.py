import uuid

import trio

from triojob import Client, JobCancelled

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        key = uuid.uuid4().hex  # the app records under this key what the run did
        job = client.submit(1000, 0.02, key, api_name="/ticker")
        async for output in job:
            if output == "2":
                job.cancel("that is enough")
                break
        try:
            await job.result()
        except JobCancelled as exc:
            print(exc)
        print(job.cancelled, job.status().code.name)

        record: dict[str, int] = {}
        while not record.get("closed"):
            await trio.sleep(0.02)
            record = await client.predict(key, api_name="/probe")
        print("the app stopped early:", record["steps"] < 1000)


trio.run(main)

# prints:
# > /ticker was cancelled: that is enough
# > True CANCELLED
# > the app stopped early: True
