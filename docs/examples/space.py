import math

import trio

from triojob import Client, SpaceError, SpaceStatus

# A Space opens by its name; a plain URL opens directly.
SPACE = "owner/name"


def show(status: SpaceStatus) -> None:
    print(f"{status.space} is {status.stage} after {status.waited:.0f} s")


async def main() -> None:
    try:
        with trio.fail_after(600) as waiting:
            async with Client(SPACE, on_wait=show) as client:
                waiting.deadline = math.inf  # only the wait for the Space is bounded
                print(await client.predict("Ada", api_name="/greet"))
    except SpaceError as exc:
        print(exc.stage, exc)


trio.run(main)

# prints:
# > Hello Ada!
