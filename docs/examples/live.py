import trio
from rich.console import Console

import triojob
from triojob import Client, Job, JobGroup

URL = "http://127.0.0.1:7860"


async def main() -> None:
    titles: dict[Job[str], str] = {}
    console = Console()  # stdout; the default is stderr
    async with (
        Client(URL) as client,
        JobGroup(limit=2) as group,
        triojob.live(group, total=3, title=titles.get, console=console),
    ):
        greet = client.endpoint("/greet")
        for name in ("Grace", "Edsger", "Barbara"):
            titles[group.submit(greet, name)] = f"greet {name}"
    # The view stays until the jobs have ended.
    print([await job.result() for job in titles])


trio.run(main)

# prints:
# > ...
# > 3 done; 3 of 3 ended, ...
# > ['Hello Grace!', 'Hello Edsger!', 'Hello Barbara!']
