import trio

from triojob import Client, JobTimeout

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        with trio.move_on_after(0.3) as scope:  # bounds the call, and stops it on the server
            await client.predict(60, "bounded call", api_name="/slow")
        print("call cancelled:", scope.cancelled_caught)

        job = client.submit(60, "bounded wait", api_name="/slow")
        try:
            await job.result(timeout=0.3)  # bounds the waiting; the job keeps running
        except JobTimeout as exc:
            print(exc)
        print("job done:", job.done)

        job.cancel()
        await job.wait()
        print("job done:", job.done)


trio.run(main)

# prints:
# > call cancelled: True
# > /slow has not ended within 0.3 s; it keeps running (job.cancel() cancels it)
# > job done: False
# > job done: True
