"""A program that is killed: it prints each call that begins, and each outcome that it gets.

``python durable_program.py STORE ROWS MOST [URL]`` calls a function of its own, or an endpoint.
The function's calls after the first MOST never end, so that the program can't end before its kill.
"""

from __future__ import annotations

import os
import random
import sys
from contextlib import AsyncExitStack
from typing import Any

import trio

import triojob


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def main(store: str, rows: str, most: str, url: str | None = None) -> None:
    left = iter(range(int(most)))

    async def work(number: str) -> str:
        say("call", number)
        if next(left, None) is None:
            await trio.sleep_forever()
        await trio.sleep(random.uniform(0, 0.01))
        return f"{number} is done"

    async with AsyncExitStack() as stack:
        fn: Any = work
        if url is not None:
            client = await stack.enter_async_context(triojob.Client(url))
            fn = client.endpoint("/work")
        numbers = map(str, range(int(rows)))
        outcomes = await stack.enter_async_context(
            triojob.durable_map(fn, numbers, store=store, limit=8, ordered=False)
        )
        async for outcome in outcomes:
            say("got", outcome.row, outcome.result)


trio.run(main, *sys.argv[1:])
