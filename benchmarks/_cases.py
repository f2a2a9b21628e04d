"""What is measured: scenarios, and the cases of each, with the clients that take part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

MIB = 2**20
MAX_THREADS = 40
"""How many calls Gradio runs at once by default."""

# Labels of clients, as reports show them.
TRIOJOB, SESSION = "triojob", "triojob, one session"
MAP = "triojob, map"
LIVE, LAST, EVERY = "triojob", "triojob, last only", "triojob, all kept"
SYNC = "triojob.sync"
GRADIO, GRADIO_WIDE = "gradio_client", "gradio_client, max_workers=1000"
NODE, NOOB = "@gradio/client", "noob-gradio"
HTTPX, HTTPX_SESSION = "trio + httpx", "trio + httpx, one session"
HTTPTOOLS, HTTPTOOLS_SESSION = "trio + httptools", "trio + httptools, one session"
HAND = "start_soon + channel"
IDEAL = "ideal"
"""No client: what the server's own limits leave."""

NODE_PROGRAM = "node"


@dataclass(frozen=True)
class Rival:
    """A client that takes part in a case."""

    label: str
    program: str
    """A module of `rivals`, or `NODE_PROGRAM`."""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One thing that is measured with several clients, interleaved."""

    scenario: str
    name: str
    server: str | None
    """``"replay"``, ``"real"``, ``"default"``, or None where none is needed."""
    run: str
    """The scenario of the rivals' programs."""
    arguments: dict[str, Any]
    rivals: tuple[Rival, ...]
    rounds: int
    n: int | None = None
    """The size, where cases differ by it alone; a client that took too long for one gets none
    that is larger."""
    timeout: float = 60
    """Seconds that gradio_client has for one run; the others have more, see `_runner`."""
    fresh: bool = False
    """Whether each run has a server of its own.

    After each event Gradio sums up all events so far (``GRADIO_ANALYTICS_CACHE_FREQUENCY``), so
    that a server which has seen thousands is slower than a new one.
    """
    ideal: float | None = None
    """Seconds that the server needs if the client costs nothing."""


PROGRAMS = {
    TRIOJOB: Rival(TRIOJOB, "triojob_client"),
    SESSION: Rival(SESSION, "triojob_client", {"session": True}),
    MAP: Rival(MAP, "triojob_client", {"by_map": True}),
    SYNC: Rival(SYNC, "triojob_sync"),
    GRADIO: Rival(GRADIO, "gradio_client_"),
    GRADIO_WIDE: Rival(GRADIO_WIDE, "gradio_client_", {"max_workers": 1000}),
    NODE: Rival(NODE, NODE_PROGRAM),
    NOOB: Rival(NOOB, "noob_client"),
    HTTPX: Rival(HTTPX, "floor_httpx"),
    HTTPX_SESSION: Rival(HTTPX_SESSION, "floor_httpx", {"session": True}),
    HTTPTOOLS: Rival(HTTPTOOLS, "floor_httptools"),
    HTTPTOOLS_SESSION: Rival(HTTPTOOLS_SESSION, "floor_httptools", {"session": True}),
    HAND: Rival(HAND, "hand"),
}
STREAMING = {
    LIVE: Rival(LIVE, "triojob_client", {"history": 1, "live": True}),
    LAST: Rival(LAST, "triojob_client", {"history": None, "live": False}),
    EVERY: Rival(EVERY, "triojob_client", {"history": None, "live": True}),
    **{label: PROGRAMS[label] for label in (HTTPX, GRADIO, NODE)},
}


class MakeCases(Protocol):
    """Makes the cases of a scenario."""

    __name__: str

    def __call__(self, *, quick: bool) -> Iterator[Case]:
        """Make them, with small sizes if need be."""
        ...


CASES: dict[str, MakeCases] = {}
"""The scenarios, by name."""


def scenario(fn: MakeCases) -> MakeCases:
    """Enter a scenario under its name."""
    CASES[fn.__name__] = fn
    return fn


def chosen(*labels: str) -> tuple[Rival, ...]:
    """Return the clients of these labels."""
    return tuple(PROGRAMS[label] for label in labels)


@scenario
def sequential(*, quick: bool) -> Iterator[Case]:
    """Time calls one after the other: median, 99th percentile, CPU a call."""
    for server, calls in (("replay", 100 if quick else 500), ("real", 50 if quick else 200)):
        rivals = tuple(
            Rival(
                label,
                PROGRAMS[label].program,
                # It takes so long that fewer will do.
                {"calls": 20 if label == GRADIO else calls, **PROGRAMS[label].arguments},
            )
            for label in (TRIOJOB, SESSION, HTTPX, HTTPTOOLS, NOOB, NODE, GRADIO)
        )
        yield Case(
            "sequential",
            "calls one by one",
            server,
            "sequential",
            {},
            rivals,
            rounds=1 if quick else 3,
        )


@scenario
def concurrent(*, quick: bool) -> Iterator[Case]:
    """Make many short calls at once."""
    everybody = (
        TRIOJOB,
        SESSION,
        NOOB,
        NODE,
        HTTPX,
        HTTPX_SESSION,
        HTTPTOOLS,
        HTTPTOOLS_SESSION,
        GRADIO,
    )
    for server in ("replay", "real"):
        if quick and server == "real":
            continue
        for calls in (200, 1000) if quick else (1000, 5000):
            # httpx's pool takes a minute for 5,000 calls over 256 connections, on any server.
            slow = {HTTPX} if quick or calls == 5000 else set[str]()
            if (server, calls) == ("real", 5000):
                slow |= {HTTPX_SESSION, HTTPTOOLS, HTTPTOOLS_SESSION}
            rivals = chosen(*(label for label in everybody if label not in slow))
            yield Case(
                *("concurrent", f"{calls:,} calls", server, "many", {"calls": calls}),
                *(rivals, 1 if quick else 3, calls),
                timeout=10 if quick else 40,
                fresh=server == "real",
            )


def of_defaults(
    fn: str, seconds: float, limit: int | None, counts: Sequence[int], *, quick: bool
) -> Iterator[Case]:
    """Make the cases of one function of the app that users would start."""
    called = "1 s" if seconds == 1 else f"{seconds * 1000:g} ms"
    at_once = "no limit" if limit is None else f"limit {limit}"
    for count in counts:
        # More would take them minutes.
        few = () if quick or count > 1000 else (HTTPTOOLS, GRADIO)
        yield Case(
            *("defaults", f"{called}, {at_once}: {count:,} calls", "default", "many"),
            {"calls": count, "fn": fn},
            *(chosen(TRIOJOB, MAP, SESSION, NOOB, NODE, *few), 1 if quick else 3, count),
            timeout=10 if quick else 40,
            fresh=not quick,
            ideal=count * seconds / min(limit or MAX_THREADS, MAX_THREADS),
        )


@scenario
def defaults(*, quick: bool) -> Iterator[Case]:
    """Make many calls at once to an app as users start it, which runs 40 calls at once at most."""
    for fn, seconds, limit, counts, small in (
        ("short_ten", 0.02, 10, (100, 1000, 5000), (20, 100)),
        ("short_any", 0.02, None, (1000, 5000), (100,)),
        ("short_one", 0.02, 1, (100, 500), (20,)),
        ("long_any", 1, None, (1000,), (40,)),
        ("long_ten", 1, 10, (100,), (10,)),
    ):
        yield from of_defaults(fn, seconds, limit, small if quick else counts, quick=quick)


@scenario
def seconds(*, quick: bool) -> Iterator[Case]:
    """Run many jobs that each take 1 s: the ideal is a little over 1 s for all of them."""
    in_sessions = (SESSION, HTTPX_SESSION, HTTPTOOLS_SESSION, NODE, GRADIO)
    for server, jobs in (("replay", 1000), ("replay", 10_000), ("real", 1000)):
        if quick and server == "real":
            continue
        # Those with a stream a call have 256 streams at most.
        few = (TRIOJOB, HTTPX, GRADIO_WIDE) if jobs == 1000 and not quick else ()
        count = jobs // 10 if quick else jobs
        yield Case(
            *(
                "seconds",
                f"{count:,} jobs of 1 s",
                server,
                "many",
                {"calls": count, "fn": "second"},
            ),
            *(chosen(*few, *in_sessions), 1 if quick else 3, count),
            timeout=10 if quick else 40,
            fresh=server == "real",
        )


@scenario
def streams(*, quick: bool) -> Iterator[Case]:
    """Follow a stream of n steps: a text that grows, and a list of chat messages that grows."""
    for fn in ("text", "chat"):
        for n in (500, 2000, 8000) if quick else (500, 1000, 2000, 4000, 8000, 16_000):
            yield Case(
                *("streams", f"{fn}, n = {n:,}", "replay", "stream", {"fn": fn, "n": n}),
                *(tuple(STREAMING.values()), 1 if quick else 2, n),
                timeout=10 if quick else 40,
            )
    for fn in () if quick else ("text", "chat"):
        for n in (500, 2000):
            yield Case(
                *("streams", f"{fn}, n = {n:,}", "real", "stream", {"fn": fn, "n": n}),
                *(tuple(STREAMING[label] for label in (LIVE, EVERY, HTTPX, GRADIO, NODE)), 1, n),
            )


@scenario
def cancel(*, quick: bool) -> Iterator[Case]:
    """Cancel a stream that runs: time to the raise here, and to the stop on the server."""
    for server in ("replay", "real"):
        yield Case(
            *("cancel", "a running stream", server, "cancel", {"rounds": 5 if quick else 20}),
            *(chosen(TRIOJOB, GRADIO, NODE), 1 if quick else 3),
        )


@scenario
def construct(*, quick: bool) -> Iterator[Case]:
    """Open clients, which means finding out what the app offers."""
    for server in ("replay", "real"):
        yield Case(
            *("construct", "opening a client", server, "construct", {"rounds": 5 if quick else 20}),
            *(chosen(TRIOJOB, GRADIO, NODE), 1 if quick else 3),
        )


@scenario
def imports(*, quick: bool) -> Iterator[Case]:
    """Import the client in a process that has imported nothing else."""
    rivals = chosen(TRIOJOB, HTTPX, GRADIO, NODE)
    yield Case("imports", "import", None, "import", {}, rivals, 3 if quick else 9)


@scenario
def submit(*, quick: bool) -> Iterator[Case]:
    """Run empty async functions as jobs, beside what one would write by hand."""
    yield Case(
        *("submit", "10,000 empty functions", None, "submit", {"calls": 10_000}),
        *(chosen(TRIOJOB, HAND), 3 if quick else 7),
    )


@scenario
def files(*, quick: bool) -> Iterator[Case]:
    """Send and fetch one large file."""
    mib = 64 if quick else 1024
    for server in ("replay",) if quick else ("replay", "real"):
        yield Case(
            *("files", f"upload of {mib:,} MiB", server, "upload", {"mib": mib}),
            *(chosen(TRIOJOB, HTTPX, GRADIO, NODE), 1),
            timeout=90,
        )
        yield Case(
            *("files", f"download of {mib:,} MiB", server, "download", {"mib": mib}),
            *(chosen(TRIOJOB, GRADIO), 1),
            timeout=90,
        )


@scenario
def sync(*, quick: bool) -> Iterator[Case]:
    """Call from threads: the bridge beside triojob itself, and beside gradio_client."""
    calls, rounds, timeout = (100, 1, 10) if quick else (500, 3, 60)
    few = Rival(GRADIO, "gradio_client_", {"calls": 20})
    yield Case(
        *("sync", "calls one by one", "replay", "sequential", {"calls": calls}),
        *((*chosen(TRIOJOB, SYNC), few), rounds),
        timeout=timeout,
    )
    yield Case(
        *("sync", "all submitted at once", "replay", "many", {"calls": 200 if quick else 1000}),
        *(chosen(TRIOJOB, SYNC, GRADIO), rounds),
        timeout=timeout,
    )
    yield Case(
        *("sync", "from 32 threads", "replay", "in_threads"),
        *({"calls": 200 if quick else 1000, "threads": 32}, chosen(TRIOJOB, SYNC, GRADIO), rounds),
        timeout=timeout,
    )
