"""How many event streams one client has open at once, over all its sessions."""

from __future__ import annotations

from typing import final

import trio

from ..._core.limiter import OrderedLimiter


@final
class StreamBudget:
    """Places for event streams, given out in the order of the jobs' ids.

    Args:
        limiter: Trio's limiter, which counts them and says who has one.
    """

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._line = OrderedLimiter(limiter.total_tokens)

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return self._line.waiting

    async def acquire(self, owner: object, job_id: int) -> None:
        """Wait for a place; the job with the lowest id is next."""
        await self._line.acquire(job_id)
        self._limiter.acquire_on_behalf_of_nowait(owner)

    def acquire_nowait(self, owner: object, job_id: int) -> bool:
        """Take a place if there are plenty; return whether it has one."""
        if not self._line.acquire_nowait(job_id):
            return False
        self._limiter.acquire_on_behalf_of_nowait(owner)
        return True

    def release(self, owner: object, job_id: int) -> None:
        """Give back the place that ``owner`` has for a job."""
        self._limiter.release_on_behalf_of(owner)
        self._line.release(job_id)
