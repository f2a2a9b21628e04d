import sqlite3
from contextlib import closing

import trio

from triojob import StoreMismatch, durable_map

calls: list[int] = []


async def square(n: int) -> int:
    calls.append(n)
    await trio.sleep(0.1)
    return n * n


async def run(numbers: list[int], most: int = 10) -> None:
    results: list[int] = []
    async with durable_map(square, numbers, store="squares.sqlite", limit=1) as outcomes:
        async for outcome in outcomes:
            results.append(outcome.result)
            if len(results) == most:
                break  # or the process is killed
    print("results", results, "of calls with", calls)
    calls.clear()


trio.run(run, [1, 2, 3, 4], 2)
trio.run(run, [1, 2, 3, 4, 5])
try:
    trio.run(run, [1, 2, 7, 4, 5])
except StoreMismatch as exc:
    print(exc)

with closing(sqlite3.connect("squares.sqlite")) as database:
    print(database.execute("SELECT result FROM outcomes WHERE row = 4").fetchone())

# prints:
# > results [1, 4] of calls with [1, 2]
# > results [1, 4, 9, 16, 25] of calls with [3, 4, 5]
# > squares.sqlite can't be resumed: row 2 (counted from 0) differs; ...
# > (25,)
