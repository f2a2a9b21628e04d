import trio

import triojob
from triojob import sync

URL = "http://127.0.0.1:7860"


def in_a_thread(group: triojob.JobGroup, greet: triojob.Endpoint) -> None:
    job = sync.submit(group, greet, "Ada")  # the job lives in the group, in the Trio thread
    print(job.result())  # blocks only the waiting thread


def listen(group: triojob.JobGroup, tokens: triojob.Endpoint) -> None:
    for _ in sync.submit(group, tokens, 1000, 0.1):  # longer than the timeout
        pass


async def main() -> None:
    async with triojob.Client(URL) as client, triojob.JobGroup() as group:
        await trio.to_thread.run_sync(in_a_thread, group, client.endpoint("/greet"))

        with trio.move_on_after(0.5) as scope:
            await trio.to_thread.run_sync(listen, group, client.endpoint("/tokens"))
        print("the thread is back:", scope.cancelled_caught)
        group.cancel_scope.cancel()


trio.run(main)

# prints:
# > Hello Ada!
# > the thread is back: True
