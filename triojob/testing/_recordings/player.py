"""`RecordedApp`: plays the recording of an app."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from ..._exceptions import raise_first
from .._server.description import App
from .._server.event import Event, GradioError
from .described import DescribedApp, RelayedCall, RelayingApp, refusal_response
from .errors import CallNotRecorded
from .matching import Matcher
from .recording import RecordedCall, Recording

PATIENCE = 60.0
"""Seconds of Trio's clock for which a call that was recorded as cancelled waits to be cancelled."""


class RecordedApp(RelayingApp):
    """An app that plays a recording: the description of an app, and the messages of its calls.

    `record` makes the file.  Like a `ScriptedApp`, it runs in memory or on a socket, and each run
    plays from the beginning.

    A call plays the first recorded call of its endpoint with the same arguments that no call has
    played in this run.  Files are the same if their names and contents are.  Calls of an endpoint
    with State play the calls of one recorded session for each session.
    A call that was recorded as cancelled plays until then, and waits to be cancelled again.

    A call that was not recorded fails with an `AppError` that shows the difference to the nearest
    recorded call; and if the body of ``async with`` does not raise, leaving it raises
    `CallNotRecorded`.

    Args:
        path: The file, such as ``"app.jsonl"``.
        speed: How fast messages follow each other: 1 is as they were recorded, `math.inf` is
            without waiting.  None is 1 on a `trio.testing.MockClock`, and `math.inf` on a real one.
        repeats: Whether further calls with the same arguments play the last recorded one again.

    Raises:
        FileNotFoundError: There is no such file.
        RecordingError: It is not a recording, or a file beside it is missing or was changed.
        ValueError: ``speed`` is not positive.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        speed: float | None = None,
        repeats: bool = False,
    ) -> None:
        super().__init__()
        if speed is not None and not speed > 0:
            raise ValueError(f"speed is a positive number, not {speed!r}")
        self._path = Path(path)
        self._recording = Recording.load(self._path)
        self._speed = speed
        self._repeats = repeats
        self._matcher = self._rewound()
        self._played: dict[Event, RecordedCall | CallNotRecorded] = {}

    def _rewound(self) -> Matcher:
        assert self._recording is not None
        return Matcher(self._path.name, self._recording.calls, repeats=self._repeats)

    def assert_all_played(self) -> None:
        """Assert that every recorded call was played in this run, or in the last one."""
        left = self._matcher.left
        if left:
            shown = "\n".join(
                f"  {call.endpoint} {json.dumps(call.request, ensure_ascii=False):.200}"
                for call in left
            )
            raise AssertionError(f"{self._path.name} has calls that were not played:\n{shown}")

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[App, None]:
        assert self._recording is not None
        self._matcher, self._played = self._rewound(), {}
        yield DescribedApp(self._recording.app, self._play)
        raise_first(self._problems)

    def _came(self, event: Event, relayed: RelayedCall) -> None:
        # Here, as only this is called in the order of arrival.
        try:
            self._played[event] = self._matcher.take(
                relayed.call.endpoint, relayed.request, event.session_hash
            )
        except CallNotRecorded as exc:
            self._played[event] = exc

    async def _play(self, event: Event) -> None:
        start = trio.current_time()
        played = self._played.pop(event)
        if isinstance(played, CallNotRecorded):
            raise self._problem(event, played)
        for message in played.messages:
            await self._wait_until(start, message["at"])
            if "refused" in message:
                event.refuse(refusal_response(message))
            elif "cancelled" in message:
                await trio.sleep(PATIENCE)
                raise self._problem(event, _not_cancelled(played, message["at"]))
            else:
                await self._relay(event, message)

    async def _wait_until(self, start: float, at: float) -> None:
        speed = self._speed
        if speed is None:
            clock = trio.lowlevel.current_clock()
            speed = 1 if isinstance(clock, trio.testing.MockClock) else math.inf
        await trio.sleep_until(start + at / speed)

    def _problem(self, event: Event, problem: CallNotRecorded) -> GradioError:
        """Note a problem; return what the client receives."""
        self._relayed[event].call.exception = problem
        self._problems.append(problem)
        return GradioError(str(problem), title="Not recorded")


def _not_cancelled(call: RecordedCall, at: float) -> CallNotRecorded:
    return CallNotRecorded(
        f"the recorded call of {call.endpoint} was cancelled after {at:g} s, and this one was not "
        f"cancelled within {PATIENCE:g} s more; record again"
    )
