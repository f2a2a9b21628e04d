"""Show where triojob's time goes: ``python -m benchmarks.profiling [calls|many|stream]``.

It runs a scenario on the replay server under `cProfile`, and prints the time in each package's own
code and in its costliest functions.  The profiler makes Python code look slower beside what is
written in C, so it tells where to look, not how long something takes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from triojob import Client, JobGroup

from ._report import table
from ._servers import ROOT, running

Key = tuple[str, int, str]


async def calls(client: Client, n: int) -> None:
    """Call one after the other."""
    echo = client.endpoint("/echo")
    for number in range(n):
        await echo(f"call {number}")


async def many(client: Client, n: int) -> None:
    """Make all calls at once, in one session."""
    async with client.session() as session, JobGroup() as group:
        echo = session.endpoint("/echo")
        for number in range(n):
            group.submit(echo, f"call {number}")


async def stream(client: Client, n: int) -> None:
    """Follow a chat of n steps, each output as it comes."""
    async for _ in client.submit(n, api_name="/chat"):
        pass


SCENARIOS: dict[str, tuple[Callable[[Client, int], Awaitable[None]], int]] = {
    "calls": (calls, 500),
    "many": (many, 1000),
    "stream": (stream, 8000),
}


async def profiled(url: str, name: str) -> tuple[pstats.Stats, int]:
    """Run a scenario in a client that is warm."""
    fn, n = SCENARIOS[name]
    profile = cProfile.Profile()
    async with Client(url, history=1) as client:
        await fn(client, 10)
        profile.enable()
        await fn(client, n)
        profile.disable()
    return pstats.Stats(profile), n


def package_of(file: str) -> str:
    """Name the package that a function is of."""
    if file in {"~", ""}:
        return "written in C"
    path = Path(file)
    for name, base in (("triojob", ROOT / "triojob"), *sites()):
        if path.is_relative_to(base):
            return name or path.relative_to(base).parts[0].removesuffix(".py")
    return "Python's library"


def sites() -> list[tuple[str, Path]]:
    """Return the folders that packages are installed in."""
    return [("", Path(sysconfig.get_path(name))) for name in ("purelib", "platlib")]


def by_package(own: dict[Key, float]) -> list[tuple[str, float]]:
    """Add up the seconds in the functions of each package, and put the most first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for (file, _, _), time in own.items():
        seconds[package_of(file)] += time
    return sorted(seconds.items(), key=lambda item: -item[1])


def report(name: str, stats: pstats.Stats, n: int, top: int) -> str:
    """Write down a profile."""
    # The stubs don't know this attribute.
    own: dict[Key, float] = {key: values[2] for key, values in vars(stats)["stats"].items()}
    whole = sum(own.values())
    packages = [
        [package, f"{time / n * 1e6:.0f}", f"{time / whole:.0%}"]
        for package, time in by_package(own)
    ]
    functions = [
        [f"`{package_of(file)}`: `{Path(file).name}:{function}`", f"{time / n * 1e6:.0f}"]
        for (file, _, function), time in sorted(own.items(), key=lambda item: -item[1])[:top]
    ]
    return "\n\n".join(
        [
            f"**{name}**, n = {n:,}: {whole / n * 1e6:.0f} µs each under the profiler",
            table(["package", "own µs each", "share"], packages),
            table(["function", "own µs each"], functions),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help=f"by default all: {', '.join(SCENARIOS)}")
    parser.add_argument("--top", type=int, default=15, help="how many functions")
    options = parser.parse_args()
    if unknown := set(options.scenarios) - set(SCENARIOS):
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}")
    with running("replay") as server:
        for name in options.scenarios or SCENARIOS:
            stats, n = trio.run(profiled, server.url, name)
            print(report(name, stats, n, options.top), end="\n\n")


if __name__ == "__main__":
    main()
