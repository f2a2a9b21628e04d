"""The unfinished calls of a client or a pool, in any state: closing it cancels them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import trio

from ..._core.record import JobRecord


@final
class OpenCalls:
    """The unfinished calls of one client or pool.

    Args:
        reason: Why closing cancels them, for ``JobCancelled.reason``.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._scopes: dict[trio.CancelScope, JobRecord | None] = {}
        """The scopes that closing cancels, each with its job's record if it belongs to a job."""
        self._idle = trio.lowlevel.ParkingLot()
        self.closed: bool = False
        """Whether they have been closed: a scope that is added later is cancelled at once."""

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def open(
        self, scope: trio.CancelScope, record: JobRecord | None = None
    ) -> Generator[None, None, None]:
        """Let closing cancel ``scope`` while the block runs; see `add`."""
        self.add(scope, record)
        try:
            yield
        finally:
            self.remove(scope)

    def add(self, scope: trio.CancelScope, record: JobRecord | None = None) -> None:
        """Let closing cancel ``scope``, which belongs to a job or to another operation."""
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
        scope.cancel(reason=self._reason)

    def _note_reason(self, scope: trio.CancelScope) -> None:
        # In a separate frame, as no frame that cancels can hold a job; see `JobRecord.to_cancel`.
        record = self._scopes[scope]
        if record is not None:
            record.to_cancel(self._reason)

    async def wait_idle(self) -> None:
        """Wait until all calls have ended."""
        while self._scopes:
            await self._idle.park()

    def close(self) -> None:
        """Cancel all calls, also in groups that outlive the client."""
        self.closed = True
        for scope in self._scopes:
            self._cancel(scope)

    async def aclose(self) -> None:
        """Cancel all calls as `close` does; return when they have ended.

        Takes only as long as each call's task needs to run once; a cancellation does not shorten
        it.
        """
        self.close()
        with trio.CancelScope(shield=True):
            await self.wait_idle()
