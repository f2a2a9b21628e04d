import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        # In the app: gr.Image(streaming=True).stream(running_total, ...)
        running_total = client.endpoint("/running_total")
        async with running_total.stream_inputs(1) as stream:  # the first input
            async for total in stream:
                print(total)
                if total < 20:
                    await stream.send(total)  # the next input
                else:
                    await stream.send_eof()

        print(await stream.job.result())


trio.run(main)

# prints:
# > 1
# > 2
# > 4
# > 8
# > 16
# > 32
# > 32
