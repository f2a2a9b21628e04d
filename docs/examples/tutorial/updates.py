import trio

from triojob import Client, Job, LogMessage, OutputUpdate, StatusUpdate


async def watch(job: Job[str]) -> None:
    print(job.name)
    async for update in job.updates():
        match update:
            case StatusUpdate(code=code, progress_data=[unit]):
                print(" ", code.name, "with progress:", unit.desc)
            case StatusUpdate(code=code):
                print(" ", code.name)
            case LogMessage(text=text, level=level):
                print(" ", "log,", level + ":", text)
            case OutputUpdate(output=output):
                print(" ", "output:", output)


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        await watch(client.submit(3, api_name="/work"))


trio.run(main)

# prints:
# > /work
# >   STARTING
# >   JOINING_QUEUE
# >   IN_QUEUE
# >   PROCESSING
# >   PROGRESS with progress: step ...
# >   log, warning: mind the gap
# >   output: done
# >   FINISHED with progress: step ...
