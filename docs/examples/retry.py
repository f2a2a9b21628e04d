import trio

from triojob import Client, JobGroup, Retry

URL = "http://127.0.0.1:7860"


async def main() -> None:
    patient = Retry(attempts=None, timeout=600)  # wait while the queue is full or the server starts
    careless = Retry(attempts=3, idempotent=True)  # may run a call twice

    async with Client(URL) as client, JobGroup(retry=patient) as group:
        job = group.submit(client.endpoint("/greet"), "Ada")
        greet = client.endpoint("/greet").with_retry(careless)
        print(await greet("Grace"), await job.result())


trio.run(main)

# prints:
# > Hello Grace! Hello Ada!
