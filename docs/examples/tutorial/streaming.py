import trio

from triojob import Client


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        job = client.submit(4, api_name="/tell")
        async for text in job:
            print("live:", text)
            if text.endswith("upon-1"):
                break  # the job keeps running

        print("result:", await job.result())
        async for text in job:  # another loop starts at the first output
            print("again:", text)


trio.run(main)

# prints:
# > live: once
# > live: once upon-1
# > result: once upon-1 upon-2 upon-3
# > again: once
# > again: once upon-1
# > again: once upon-1 upon-2
# > again: once upon-1 upon-2 upon-3
