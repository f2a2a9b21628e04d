"""The calls and cancel requests that a scripted app received, and assertions about them."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import Any, Literal

import trio

from ._server.event import Event

State = Literal["waiting", "running", "finished", "failed", "cancelled", "abandoned"]
_UNDER_WAY = ("waiting", "running")


@dataclass(eq=False)
class Call:
    """One call that a `ServedApp` put into its queue."""

    endpoint: str
    """The endpoint's name, such as ``"/name"``."""
    arguments: dict[str, Any]
    """The arguments by parameter name, including omitted ones; a file is its path."""
    session: int
    """The number of its session, from 1."""
    time: float
    """The time of its arrival, by `trio.current_time`."""
    _event: Event = field(repr=False)
    outputs: list[Any] = field(default_factory=list)
    """The values that the function has yielded, or the one value that it returned."""
    exception: BaseException | None = None
    """The exception that the function raised, or None."""
    left: bool = False
    """Whether it was waiting or running when the app ended."""

    @property
    def state(self) -> State:
        """The state of the call.

        ``"cancelled"``: the app received a cancel request, which stopped or dequeued it.
        ``"abandoned"``: its client was gone when it yielded.
        """
        state = self._event.state
        return "cancelled" if state == "removed" else state

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())
        return f"{self.endpoint}({shown}): {self.state}{', left behind' if self.left else ''}"


def _short(value: object) -> str:
    return reprlib.repr(value)


class CallLog:
    """Logs the calls and cancel requests that an app receives, and asserts facts about them.

    Each assertion that fails raises `AssertionError`, with a list of all recorded calls.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """Every call of this run, in the order of arrival."""
        self.cancellations: list[Call] = []
        """The calls that the app was asked to cancel, in the order of the requests."""
        self.sessions: int = 0
        """The number of sessions with calls."""
        self._started = trio.Event()

    def _came_in(self, sessions: int, call: Call) -> None:
        """Record a call, and the number of sessions including its own."""
        self.calls.append(call)
        self.sessions = sessions

    def _forget(self) -> None:
        """Start with new lists; earlier references to the old lists stay valid."""
        self.calls, self.cancellations, self.sessions = [], [], 0

    def calls_of(self, endpoint: str) -> list[Call]:
        """Return the calls of one endpoint."""
        return [call for call in self.calls if call.endpoint == _named(endpoint)]

    def assert_called(self, endpoint: str, times: int | None = None) -> None:
        """Assert that an endpoint was called, or that it was called a number of times."""
        found = len(self.calls_of(endpoint))
        if found == times or (times is None and found):
            return
        wanted = "at least once" if times is None else _times(times)
        raise self._error(f"{_named(endpoint)} was called {_times(found)}, not {wanted}")

    def assert_called_with(self, endpoint: str, /, **arguments: Any) -> Call:
        """Assert that an endpoint was called with these arguments; other arguments are ignored.

        Returns:
            The last such call.
        """
        for call in reversed(self.calls_of(endpoint)):
            if all(
                name in call.arguments and call.arguments[name] == value
                for name, value in arguments.items()
            ):
                return call
        shown = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
        raise self._error(f"{_named(endpoint)} was never called with {shown}")

    def assert_cancelled(self, endpoint: str, times: int = 1) -> None:
        """Assert how many calls of an endpoint were cancelled: stopped, or never started."""
        found = sum(call.state == "cancelled" for call in self.calls_of(endpoint))
        if found != times:
            raise self._error(
                f"{_calls(found)} of {_named(endpoint)} ended as cancelled, not {times}"
            )

    def assert_no_jobs_left(self) -> None:
        """Assert that no call waits or runs, and that none did when the app ended."""
        left = sum(call.left or call.state in _UNDER_WAY for call in self.calls)
        if left:
            raise self._error(f"{_calls(left)} had not ended")

    async def wait_running(self, endpoint: str, count: int = 1, *, seconds: float = 10) -> None:
        """Wait until ``count`` calls of an endpoint run at once.

        Raises:
            AssertionError: They did not within ``seconds`` of Trio's clock.
        """
        with trio.move_on_after(seconds):
            while sum(call.state == "running" for call in self.calls_of(endpoint)) < count:
                await self._started.wait()
            await trio.lowlevel.checkpoint()
            return
        raise self._error(
            f"there were no {_calls(count)} of {_named(endpoint)} running within {seconds:g} s"
        )

    async def wait_all_cancelled(self, *, seconds: float = 10) -> None:
        """Wait until no call waits or runs, and assert that the calls in flight were all cancelled.

        Raises:
            AssertionError: A call ended otherwise, or not within ``seconds`` of Trio's clock.
        """
        under_way = [call for call in self.calls if call.state in _UNDER_WAY]
        with trio.move_on_after(seconds):
            await trio.lowlevel.checkpoint()
            for call in under_way:
                await call._event.finished.wait()
        others = sum(call.state != "cancelled" for call in under_way)
        if others:
            raise self._error(f"{_calls(others)} not cancelled within {seconds:g} s")

    def _begun(self) -> None:
        """Wake the tasks that wait for a call to start."""
        self._started.set()
        self._started = trio.Event()

    def _error(self, problem: str) -> AssertionError:
        lines = [f"  {number}. {call}" for number, call in enumerate(self.calls, 1)]
        there = "\n".join(["the calls were:", *lines]) if lines else "there were no calls at all"
        return AssertionError(f"{problem}; {there}")


def _named(endpoint: str) -> str:
    return "/" + endpoint.removeprefix("/")


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
