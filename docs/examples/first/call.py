import trio

from triojob import Client, JobGroup


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client, JobGroup(limit=2) as group:
        greet = client.endpoint("/greet")
        jobs = [group.submit(greet, name) for name in ("Ada", "Grace", "Edsger")]
        print([await job.result() for job in jobs])


trio.run(main)

# prints:
# > ['Hello Ada!', 'Hello Grace!', 'Hello Edsger!']
