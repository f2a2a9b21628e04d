"""What the tests of the core share: small jobs, fake outputs and scripted calls."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing
from outcome import Outcome, Value

from triojob import Job
from triojob._core.call import Batch, Call, Submittable
from triojob._core.messages import UNKNOWN, now
from triojob._core.runner import JobRunner
from triojob._core.sink import ChannelSink

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup
else:
    # Named like the backport, so that tests import it from one place.
    from builtins import BaseExceptionGroup

ROUNDS = 30
"""How often to repeat what depends on the order in which Trio runs tasks, a coin flip each."""


class Boom(Exception):
    """What failing jobs raise."""


class Wordless(Exception):
    """What has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Quit(BaseException):
    """Neither Python's nor Trio's."""


class Thing:
    """An object that can be watched by a weak reference."""


async def succeed(value: Any = "value") -> Any:
    await trio.lowlevel.checkpoint()
    return value


async def fail(message: str = "boom") -> None:
    await trio.lowlevel.checkpoint()
    raise Boom(message)


async def fail_after(seconds: float, message: str = "boom") -> None:
    await trio.sleep(seconds)
    raise Boom(message)


async def sleep(seconds: float, value: Any = "value") -> Any:
    await trio.sleep(seconds)
    return value


async def count(n: int, interval: float = 0) -> Any:
    """Yield 0 to n - 1."""
    for number in range(n):
        await trio.sleep(interval)
        yield number


async def count_and_fail(n: int, interval: float = 0) -> Any:
    for number in range(n):
        await trio.sleep(interval)
        yield number
    raise Boom("after the outputs")


async def collect(iterable: Any) -> list[Any]:
    return [item async for item in iterable]


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a tree of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


class Order:
    """In which order Trio runs the tasks that could run at once: turned round by each set bit.

    It takes the place of Trio's random generator; the bits count from when it is started.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._started = False

    def start(self) -> None:
        self._started = True

    def shuffle(self, batch: list[Any]) -> None:
        if self._started:
            if self._bits & 1:
                batch.reverse()
            self._bits >>= 1


def run_in_all_orders(main: Callable[[Order], Awaitable[Any]], steps: int) -> dict[Any, int]:
    """Run ``main`` in each order of so many steps; return what it returned, and how often."""
    results: dict[Any, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # type: ignore[attr-defined]
        for bits in range(2**steps):
            order = Order(bits)
            patch.setattr(trio._core._run, "_r", order)  # type: ignore[attr-defined]
            result = trio.run(main, order, clock=trio.testing.MockClock(autojump_threshold=0))
            results[result] = results.get(result, 0) + 1
    return results


def tasks_living() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def listeners(job: Job[Any]) -> int:
    """Return how many listeners ``job`` has."""
    observers = job._record.observers
    return 0 if observers is None else sum(map(len, (observers._listeners or {}).values()))


def watchers(job: Job[Any]) -> int:
    """Return how many tasks wait for news of ``job``."""
    observers = job._record.observers
    if observers is None:
        return 0
    ended, changed = observers._ended, observers._changed
    waiting = 0 if ended is None else ended.statistics().tasks_waiting
    return waiting + (0 if changed is None else len(changed))


@dataclass(frozen=True)
class Appended:
    """An output that came as an edit: append one item to the output before it."""

    item: Any
    time: datetime = field(default_factory=now, compare=False)

    known_state = UNKNOWN

    def advance(self, state: Any, /) -> Any:
        return (*(state or ()), self.item)

    def show(self, state: Any, /) -> Any:
        return list(state)


class Scripted(Submittable):
    """Something to submit, the producer of which is given the sending half of the job."""

    def __init__(self, produce: Callable[[ChannelSink], Awaitable[object]]) -> None:
        self.produce = produce
        self.discarded = 0

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        return _ScriptedCall(self)


class _ScriptedCall(Call):
    name = "scripted"

    def __init__(self, script: Scripted) -> None:
        self._script = script

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._script.produce, runner.sink)
            return await runner.receive()

    def discard(self) -> None:
        self._script.discarded += 1


def appending(n: int, interval: float = 1) -> Scripted:
    """Make a call whose outputs grow: [0], [0, 1], [0, 1, 2] and so on."""

    async def produce(sink: ChannelSink) -> None:
        for number in range(n):
            await trio.sleep(interval)
            sink.output(Appended(number))
        sink.finish(Value("end"))

    return Scripted(produce)


class InstructionTracer:
    """Calls ``act()`` at one instruction of code in these files and folders; for `sys.settrace`.

    This is how another thread or a signal handler comes between; what it raises is raised there.
    """

    def __init__(self, number: int, act: Callable[[], object], *, files: Sequence[Path]) -> None:
        self._number = number
        self._act = act
        self._files = tuple(map(str, files))
        self._passed = 0

    @property
    def reached(self) -> bool:
        """Whether there were so many instructions."""
        return self._passed >= self._number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(self._files):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self._passed += 1
            if self._passed == self._number:
                self._act()
        return self


def at_instruction(
    number: int, run: Callable[[], object], act: Callable[[], object], *, files: Sequence[Path]
) -> bool:
    """Call ``run()``, and ``act()`` at one instruction of it; return whether there are so many."""
    tracer = InstructionTracer(number, act, files=files)

    def traced() -> Generator[None, None, None]:
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            yield run()
        finally:
            sys.settrace(before)

    # A generator has a place of its own for the exception that is being handled.  What is raised at
    # the very instruction that ends a handler would leave it there, as no signal's handler can.
    with closing(traced()) as generator:
        next(generator)
    return tracer.reached
