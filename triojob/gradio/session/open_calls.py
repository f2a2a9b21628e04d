"""The unfinished calls of one client in any state: closing the client cancels them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import trio

from ..._core.record import JobRecord

_CLOSED = "the client was closed"


@final
class OpenCalls:
    """The unfinished calls of one client."""

    def __init__(self) -> None:
        self._scopes: dict[trio.CancelScope, JobRecord | None] = {}
        """The scopes that closing the client cancels, each with its job's record if it belongs to a
        job.
        """
        self._idle = trio.lowlevel.ParkingLot()
        self.closed: bool = False
        """Whether the client has been closed: a scope that is added later is cancelled at once."""

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def open(
        self, scope: trio.CancelScope, record: JobRecord | None = None
    ) -> Generator[None, None, None]:
        """Let the client's end cancel ``scope`` while the block runs; see `add`."""
        self.add(scope, record)
        try:
            yield
        finally:
            self.remove(scope)

    def add(self, scope: trio.CancelScope, record: JobRecord | None = None) -> None:
        """Let the client's end cancel ``scope``, which belongs to a job or to another operation."""
        self._scopes[scope] = record
        if self.closed:
            self._cancel(scope)

    def remove(self, scope: trio.CancelScope) -> None:
        """Note that a call has ended."""
        self._scopes.pop(scope, None)
        if not self._scopes:
            self._idle.unpark_all()

    def _cancel(self, scope: trio.CancelScope) -> None:
        self._note_reason(scope)
        scope.cancel(reason=_CLOSED)

    def _note_reason(self, scope: trio.CancelScope) -> None:
        # In a separate frame, as no frame that cancels can hold a job; see `JobRecord.to_cancel`.
        record = self._scopes[scope]
        if record is not None:
            record.to_cancel(_CLOSED)

    async def wait_idle(self) -> None:
        """Wait until all calls have ended."""
        while self._scopes:
            await self._idle.park()

    async def aclose(self) -> None:
        """Cancel all calls, also in groups that outlive the client; return when they have ended.

        Takes only as long as each call's task needs to run once; a cancellation does not shorten
        it.
        """
        self.closed = True
        for scope in self._scopes:
            self._cancel(scope)
        with trio.CancelScope(shield=True):
            await self.wait_idle()
