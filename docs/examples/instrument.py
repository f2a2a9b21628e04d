import sys
from typing import Any

import trio

from triojob import Client, Instrument, Job, JobGroup

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


class Spans(Instrument):
    """Makes a span of each job; an OpenTelemetry tracer has the same two calls."""

    def __init__(self) -> None:
        self.open: dict[int, str] = {}

    def job_submitted(self, job: Job[Any]) -> None:
        self.open[job.number] = job.name  # span = tracer.start_span(job.name)

    def job_ended(self, job: Job[Any]) -> None:
        name = self.open.pop(job.number)  # span.end()
        print(f"{name}: {job.status().code.name}, {len(job.outputs())} output")


async def main() -> None:
    async with Client(URL) as client, JobGroup(limit=1, instruments=[Spans()]) as group:
        greet = client.endpoint("/greet")
        jobs = [group.submit(greet, name) for name in ("Ada", "Grace")]
        for job in jobs:
            await job.wait()
        print(group.statistics().succeeded, "succeeded,", client.statistics().calls, "under way")


trio.run(main)

# prints:
# > /greet: FINISHED, 1 output
# > /greet: FINISHED, 1 output
# > 2 succeeded, 0 under way
