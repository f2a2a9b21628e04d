import trio

from triojob import Client


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        job = client.submit("Ada", api_name="/greet")  # returns at once
        print(job.status().code.name, job.done)

        print(await job.result())  # as often as you like, in any task
        print(await job.result())
        print(job.outputs(), job.status().code.name, job.status().success)


trio.run(main)

# prints:
# > STARTING False
# > Hello Ada!
# > Hello Ada!
# > ['Hello Ada!'] FINISHED True
