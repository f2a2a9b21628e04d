"""Heartbeats: one open request for each kept session, which shows the app that the session lives.

When the request closes, Gradio runs the app's ``unload`` handlers for the session and marks its
State to expire (gradio 6.31, ``routes.py``, ``/heartbeat/{session_hash}``).
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import final

import trio

from ..._core.containment import contained
from ..._exceptions import NetworkError, TriojobError
from ..http.client import HTTP
from ..http.response import Response

logger: logging.Logger = logging.getLogger("triojob")

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a lost heartbeat is reopened; each failure in a row doubles the backoff."""


class _Refused(TriojobError):
    """The server responded with something other than a heartbeat."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"status {response.status}")
        self.status = response.status
        after = response.retry_after or ""
        # The other form, a date, would need the server's clock.
        self.retry_after = float(after) if after.isdecimal() else 0.0


@final
class Heartbeats:
    """The heartbeats of one client; `open_heartbeats` makes it.

    Args:
        wanted: Whether the app uses heartbeats.
        lost: Called when the connection of a heartbeat breaks.
    """

    def __init__(
        self, http: HTTP, nursery: trio.Nursery, *, wanted: bool, lost: Callable[[], None]
    ) -> None:
        self._http = http
        self._lost = lost
        self._nursery = nursery
        self._wanted = wanted
        self._scopes: set[trio.CancelScope] = set()

    def start(self, session_hash: str) -> trio.CancelScope:
        """Open the heartbeat of a session in the background; cancel the returned scope to end it.

        No task waits for the heartbeat, and its failure makes no call fail.
        """
        # Shielded: cancelling the client must not end a session in the app before its calls have
        # been cancelled.
        scope = trio.CancelScope(shield=True)
        if self._wanted:
            self._scopes.add(scope)
            self._nursery.start_soon(self._keep, session_hash, scope, name="<heartbeat>")
        return scope

    def end(self) -> None:
        """End all heartbeats."""
        for scope in self._scopes:
            scope.cancel()

    @trio.lowlevel.enable_ki_protection
    async def _keep(self, session_hash: str, scope: trio.CancelScope) -> None:
        places = self._http.heartbeats
        try:
            with contained(_note_end, "GET /heartbeat"), scope:
                if not places.available_tokens:
                    logger.warning(
                        "more than %g sessions are open, which is the limit of heartbeats: the app "
                        "will detect late, or never, that the others have ended",
                        places.total_tokens,
                    )
                async with places:
                    await self._beat(session_hash)
        finally:
            self._scopes.discard(scope)

    async def _beat(self, session_hash: str) -> None:
        """Hold the request open, and reopen it when it breaks; return if the app refuses it."""
        path = f"/heartbeat/{session_hash}"
        pause = _FIRST_PAUSE

        while True:
            at_least = 0.0
            try:
                # The path contains a secret, so errors use another name for the request.  A proxy
                # may buffer every beat, so silence proves nothing; a second request would make the
                # app unload the session.
                async with self._http.open_events(
                    path, _Refused, endless=True, what="GET /heartbeat"
                ) as beats:
                    async for _ in beats:
                        pause = _FIRST_PAUSE
                    raise beats.ended_early()
            except _Refused as exc:
                if exc.status < 500 and exc.status != 429:
                    # Older apps do not have this route.
                    logger.debug("the app accepts no heartbeat: %s", exc)
                    return
                at_least = exc.retry_after
            except NetworkError as exc:
                self._lost()
                logger.debug("lost a heartbeat; reopening it: %s", exc)
            # Jitter: the clients of a restarted server must not all come back at the same moment.
            jitter = random.uniform(0.5, 1)  # noqa: S311 - no secret
            await trio.sleep(max(pause * jitter, at_least))
            pause = min(2 * pause, _LONGEST_PAUSE)


def _note_end(error: TriojobError) -> None:
    logger.warning("a session continues without its heartbeat: %s", error)


@asynccontextmanager
async def open_heartbeats(
    http: HTTP, *, wanted: bool, lost: Callable[[], None]
) -> AsyncGenerator[Heartbeats, None]:
    """Keep heartbeats open while the body runs, and end them after it, however it ends."""
    async with trio.open_nursery() as nursery:
        heartbeats = Heartbeats(http, nursery, wanted=wanted, lost=lost)
        try:
            yield heartbeats
        finally:
            heartbeats.end()
