"""Do all requests reach the same process?"""

from __future__ import annotations

from .catalog import found
from .context import Context, NotChecked
from .findings import Finding

REQUESTS = 10
"""How many connections to ask over: of two replicas at random, one in 500 looks escapes."""


async def replicas(context: Context) -> list[Finding]:
    """Request the id of the app's process over several connections, with the cookies it set."""
    seen = [await context.app_id() for _ in range(REQUESTS)]
    if None in seen:
        raise NotChecked("this release does not say which process responds")
    different = len(set(seen))
    if different == 1:
        return []
    saw = f"{REQUESTS} requests over {REQUESTS} connections reached {different} processes"
    return [found("replicas", saw, requests=REQUESTS, processes=different)]
