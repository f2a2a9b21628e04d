"""Watches event streams that fall silent: is the app gone, or does a proxy buffer?

Gradio sends a heartbeat every 15 s.  A proxy that buffers responses, as nginx does by default,
holds heartbeats back, so silence alone proves nothing: another request checks the app.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TypeAlias, final

import trio

from ..._core.containment import contained
from ..._exceptions import ConnectionTimeout, TriojobError
from .settings import Timeouts

logger: logging.Logger = logging.getLogger("triojob")

_TWO_HEARTBEATS = 30.0
"""Seconds; a shorter silence of a stream is not worth mentioning."""

Ask: TypeAlias = Callable[[], Awaitable[str | None]]


class WatchedStream:
    """One event stream, and the time of its last message.

    Enter it before its request; it is watched from `begin` on.
    """

    __slots__ = ("_watch", "_what", "asked", "last", "most", "reason", "scope")

    def __init__(self, watch: StreamWatch, what: str, most: float) -> None:
        self._watch = watch
        self._what = what
        self.most: float = most
        """How many seconds it can be silent while the app responds."""
        self.last: float = trio.current_time()
        """When the last message arrived."""
        self.asked: float = self.last
        """When the app last responded while the stream was silent."""
        self.reason: str | None = None
        """Why it was given up, if it was."""
        self.scope: trio.CancelScope = trio.CancelScope()

    def begin(self) -> None:
        """Start to watch the stream: its request is being sent, so the server can respond.

        In the pool of a caller's client, the request can wait for streams that are open for hours.
        """
        if not self._watch.has(self):
            self.last = self.asked = trio.current_time()
            self._watch.add(self)

    def heard(self) -> None:
        """Note that a message has arrived."""
        self.last = trio.current_time()

    def __enter__(self) -> WatchedStream:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        self.scope.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._watch.remove(self)
        caught = self.scope.__exit__(exc_type, exc, traceback)
        if self.reason is not None and self.scope.cancelled_caught:
            raise ConnectionTimeout(f"{self._watch.base} ({self._what}): {self.reason}")
        return caught


@final
class StreamWatch:
    """Watches all event streams of a client, in one task.

    Args:
        base: The app's URL.
    """

    def __init__(self, base: str, timeouts: Timeouts) -> None:
        self.base: str = base
        self._idle = math.inf if timeouts.stream_idle is None else timeouts.stream_idle
        most = timeouts.max_stream_idle
        self._most = math.inf if most is None else most
        self._patience = min(self._idle, math.inf if timeouts.read is None else timeouts.read)
        """Seconds within which the app must respond."""
        self._streams: dict[WatchedStream, None] = {}
        self._opened = trio.lowlevel.ParkingLot()
        self._warned = False

    def watching(self, what: str, *, endless: bool) -> WatchedStream:
        """Return a context in which a stream is watched, once its request has begun.

        Args:
            what: The name of the request in errors.
            endless: Whether it can be silent for any time while the app responds.

        Raises:
            ConnectionTimeout: At the context's end: the stream was silent, and the app did not
                respond either.
        """
        return WatchedStream(self, what, math.inf if endless else self._most)

    def add(self, stream: WatchedStream) -> None:
        """Start to watch a stream."""
        if not self._streams:
            self._opened.unpark_all()
        self._streams[stream] = None

    def has(self, stream: WatchedStream) -> bool:
        """Return whether a stream is watched."""
        return stream in self._streams

    def remove(self, stream: WatchedStream) -> None:
        """Stop watching a stream."""
        self._streams.pop(stream, None)

    @asynccontextmanager
    async def running(self, ask: Ask) -> AsyncGenerator[None, None]:
        """Watch while the body runs.

        Args:
            ask: Checks that the app responds; returns a description of the problem, or None.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run, ask, name="<stream watch>")
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()

    async def _run(self, ask: Ask) -> None:
        if self._idle == math.inf:
            return
        while True:
            while not self._streams:
                await self._opened.park()
            await trio.sleep_until(min(map(self._due, self._streams)))
            now = trio.current_time()
            silent = [stream for stream in self._streams if self._due(stream) <= now]
            for stream in silent:
                if now >= stream.last + stream.most:
                    bound = "(Timeouts.max_stream_idle sets the limit)"
                    self._give_up(stream, f"silent for {stream.most:g} s {bound}")
            if any(stream in self._streams for stream in silent):
                await self._ask(ask, silent)

    def _due(self, stream: WatchedStream) -> float:
        """Return when a stream must be checked, unless a message arrives before."""
        return min(max(stream.last, stream.asked) + self._idle, stream.last + stream.most)

    async def _ask(self, ask: Ask, silent: list[WatchedStream]) -> None:
        wrong: str | None = "the app did not respond to another request either"
        failures: list[TriojobError] = []
        with contained(failures.append, "asking"), trio.move_on_after(self._patience):
            wrong = await ask()
        now = trio.current_time()
        silence = now - min(stream.last for stream in silent)
        for stream in silent:
            if wrong is None:
                stream.asked = now
            elif stream.last + self._idle <= now:
                self._give_up(stream, f"silent for {self._idle:g} s, and {wrong}")
        if wrong is None and silence > _TWO_HEARTBEATS and not self._warned:
            self._warned = True
            logger.warning(
                "an event stream of %s has been silent for %.0f s, but the app responds to other "
                "requests: a proxy seems to buffer responses, which delays outputs; turn buffering "
                "off in the proxy (nginx: proxy_buffering off). Waiting for up to %g s of silence "
                "(Timeouts.max_stream_idle)",
                self.base,
                silence,
                self._most,
            )

    def _give_up(self, stream: WatchedStream, reason: str) -> None:
        if self._streams.pop(stream, stream) is None:
            stream.reason = f"the event stream was {reason}"
            stream.scope.cancel()
