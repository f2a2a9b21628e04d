"""The one call that the caller asks for."""

from __future__ import annotations

from .._exceptions import AppError, QueueFull, TooManyRequests, TriojobError
from .catalog import found
from .context import Context, NotApplicable
from .findings import Finding


async def trial(context: Context) -> list[Finding]:
    """Make the call, with a client of its own."""
    if context.trial is None:
        raise NotApplicable("no call was asked for")
    try:
        await context.trial()
    except QueueFull as exc:
        return [found("queue-full", str(exc))]
    except TooManyRequests as exc:
        return [found("rate-limit", str(exc), retry_after=exc.retry_after)]
    except AppError as exc:
        if exc.message is None:
            return [found("call-failed-silently", str(exc))]
        return [found("call-failed", f"{exc.endpoint}: {exc}")]
    except TriojobError as exc:
        return [found("call-failed", f"{type(exc).__name__}: {exc}")]
    return []
