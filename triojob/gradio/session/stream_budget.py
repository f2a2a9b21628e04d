"""Limits how many event streams one client has open at once, over all its sessions."""

from __future__ import annotations

from typing import final

import trio

from ..._core.limiter import OrderedLimiter


@final
class StreamBudget:
    """A limiter for event streams, which serves waiters in the order of their job ids.

    Args:
        limiter: Trio's limiter, which counts the streams and their owners.
    """

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._line = OrderedLimiter(limiter.total_tokens)

    @property
    def waiting(self) -> int:
        """How many calls wait for a stream."""
        return self._line.waiting

    async def acquire(self, owner: object, job_id: int) -> None:
        """Wait until a stream can be opened; the job with the lowest id is next."""
        await self._line.acquire(job_id)
        self._limiter.acquire_on_behalf_of_nowait(owner)

    def acquire_nowait(self, owner: object, job_id: int) -> bool:
        """Acquire a stream if nothing waits and one is available; return whether that succeeded."""
        if not self._line.acquire_nowait(job_id):
            return False
        self._limiter.acquire_on_behalf_of_nowait(owner)
        return True

    def release(self, owner: object, job_id: int) -> None:
        """Release the stream that ``owner`` acquired for a job."""
        self._limiter.release_on_behalf_of(owner)
        self._line.release(job_id)
