import sys

import trio

from triojob import Client, Job, LogMessage, OutputUpdate, StatusUpdate

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


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
    async with Client(URL) as client:
        await watch(client.submit(3, api_name="/progress_float"))
        await watch(client.submit(api_name="/logs"))


trio.run(main)

# prints:
# > /progress_float
# >   STARTING
# >   JOINING_QUEUE
# >   IN_QUEUE
# >   PROCESSING
# >   PROGRESS with progress: step ...
# >   output: done
# >   FINISHED with progress: step ...
# > /logs
# >   STARTING
# >   JOINING_QUEUE
# >   IN_QUEUE
# >   PROCESSING
# >   log, info: for your information
# >   log, warning: mind the gap
# >   log, success: well done
# >   output: logged
# >   FINISHED
