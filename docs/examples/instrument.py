from collections import Counter
from typing import Any

import trio

from triojob import Client, Instrument, Job, JobGroup

URL = "http://127.0.0.1:7860"


class Ends(Instrument):
    """Counts how the jobs of each endpoint end."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def job_ended(self, job: Job[Any]) -> None:
        error = self.failure_of(job)  # does not retrieve it: the group still raises it
        self.counts[job.name, "well" if error is None else type(error).__name__] += 1


async def main() -> None:
    ends = Ends()
    async with Client(URL) as client, JobGroup(limit=2, instruments=[ends]) as group:
        for name in ("Ada", "Grace", "Edsger"):
            group.submit(client.endpoint("/greet"), name)
        failing = group.submit(client.endpoint("/fail"))
        await failing.wait()
        print(repr(failing.exception()))
        counts = group.statistics()
        print(
            counts.submitted,
            "submitted,",
            counts.failed,
            "failed,",
            counts.unretrieved,
            "unretrieved",
        )
    for (name, end), count in sorted(ends.counts.items()):
        print(f"{name} ended {count} times: {end}")


trio.run(main)

# prints:
# > AppError('boom')
# > 4 submitted, 1 failed, 0 unretrieved
# > /fail ended 1 times: AppError
# > /greet ended 3 times: well
