"""The calls of one client that have not ended, whatever they wait for: its end cancels them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import trio

from ..._core.record import JobRecord

_CLOSED = "the client was closed"


@final
class OpenCalls:
    """The calls of one client that have not ended."""

    def __init__(self) -> None:
        self._scopes: dict[trio.CancelScope, JobRecord | None] = {}
        """Around what the client's end cancels, and whose they are if that is a job."""
        self._idle = trio.lowlevel.ParkingLot()
        self.closed: bool = False
        """Whether the client has been closed: what is added then is cancelled at once."""

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def open(
        self, scope: trio.CancelScope, record: JobRecord | None = None
    ) -> Generator[None, None, None]:
        """See to it, while in the block, that the client's end cancels ``scope``; see `add`."""
        self.add(scope, record)
        try:
            yield
        finally:
            self.remove(scope)

    def add(self, scope: trio.CancelScope, record: JobRecord | None = None) -> None:
        """See to it that the client's end cancels ``scope``, that of a job or another one."""
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
        # A frame of its own, as none that cancels may hold a job; see `JobRecord.to_cancel`.
        record = self._scopes[scope]
        if record is not None:
            record.to_cancel(_CLOSED)

    async def wait_idle(self) -> None:
        """Wait until all calls have ended."""
        while self._scopes:
            await self._idle.park()

    async def aclose(self) -> None:
        """End all calls, those in groups that outlive the client too; return when they have.

        Takes no longer than the calls' tasks need to run once; a cancellation doesn't shorten it.
        """
        self.closed = True
        for scope in self._scopes:
            self._cancel(scope)
        with trio.CancelScope(shield=True):
            await self.wait_idle()
