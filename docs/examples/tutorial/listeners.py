import trio

from triojob import Job, JobGroup, Status, StatusUpdate, report


async def work() -> str:
    report.status(Status.IN_QUEUE, rank=1)
    report.output("half")
    report.output("whole")
    return "done"


def on_status(status: StatusUpdate) -> None:
    print("status:", status.code.name)


def on_output(output: str) -> None:
    print("output:", output)


def on_result(job: Job[str]) -> None:
    print("ended:", job.exception() or "well")


async def main() -> None:
    async with JobGroup() as group:
        job = group.submit(work)
        job.on_status(on_status)
        job.on_output(on_output)
        job.on_result(on_result)


trio.run(main)

# prints:
# > status: PROCESSING
# > status: IN_QUEUE
# > status: ITERATING
# > output: half
# > output: whole
# > status: FINISHED
# > ended: well
