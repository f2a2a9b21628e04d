import logging

import trio

from triojob import ClientPool, JobGroup

URL = "http://127.0.0.1:7860"
# Here: one app under two names, and one that is down.  Yours run on three machines.
URLS = [URL, URL.replace("127.0.0.1", "localhost"), "http://127.0.0.1:9"]
logging.getLogger("triojob").setLevel(logging.ERROR)  # hides the warning about the failed replica


async def main() -> None:
    async with ClientPool(URLS) as pool, JobGroup(limit=32) as group:
        greet = pool.endpoint("/greet")
        jobs = [group.submit(greet, str(number)) for number in range(100)]
        print({await job.result() for job in jobs} == {f"Hello {n}!" for n in range(100)})

        for replica in pool.statistics().replicas:
            kind = type(replica.failure).__name__ if replica.failure else "fine"
            print("open" if replica.open else "down", replica.sent > 20, kind)


trio.run(main)

# prints:
# > True
# > open True fine
# > open True fine
# > down False ConnectionFailed
