"""Cancels calls: by ``/cancel``, and by other means on servers before Gradio 4.31.

Wire sources: gradio 6.31, ``routes.py`` (``/cancel``); 4.0 to 4.28, ``routes.py`` (``/reset``),
``queueing.py``.
"""

from __future__ import annotations

import json

import trio

from ..http.client import HTTP
from ..http.response import Response
from .base import CallRequest
from .messages import decode_object
from .refusals import refusal

_NO_FUNCTION = -1
_RESETS = 12
"""How many times to request the stop of a generator that the server does not know yet."""
_BETWEEN_RESETS = 0.3
"""Seconds; all attempts together fit into the time limit of a cancel request."""


async def cancel(
    http: HTTP, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
) -> None:
    """Cancel an event; return when its run has stopped, which the server waits for.

    Args:
        alone: As for `stop`, which replaces the request if the server has no such route.
    """
    response = await _post(http, session_hash, call.fn_index, event_id)
    if response.status == 404:
        await stop(http, session_hash, call, event_id, alone=alone)
    elif response.status != 200:
        raise refusal(response, "cancelling", "")


async def dequeue(http: HTTP, session_hash: str, event_id: str) -> None:
    """Remove an event from the queue without stopping a call.

    The request names no existing function.  It needs Gradio 6.14.  It closes or restarts a
    running generator.
    """
    response = await _post(http, session_hash, _NO_FUNCTION, event_id)
    if response.status != 200:
        raise refusal(response, "removing a call from the queue", "")


async def _post(http: HTTP, session_hash: str, fn_index: int, event_id: str) -> Response:
    body = {"session_hash": session_hash, "fn_index": fn_index, "event_id": event_id}
    return await http.request(
        "POST", "/cancel", json=json.dumps(body), limiter=http.cancel_requests
    )


async def stop(
    http: HTTP, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
) -> None:
    """Stop a run: by the app's function that cancels it, or a generator at its next output.

    Args:
        alone: Whether nothing else runs in the session: the function may cancel other calls too.
    """
    stopped = await cancel_by_function(http, session_hash, call, alone=alone)
    # These servers report an async generator as a plain function, so reset any possible generator.
    if call.streams or not stopped:
        await _reset(http, event_id)


async def _reset(http: HTTP, event_id: str) -> None:
    """Stop a generator at its next output; most servers don't notice that a stream was closed.

    Until the first step has ended, the server knows of no generator and reports a failure, as it
    does after the call has ended.
    """
    body = json.dumps({"event_id": event_id})
    for _ in range(_RESETS):
        response = await http.request("POST", "/reset", json=body, limiter=http.cancel_requests)
        if response.status != 200:
            raise refusal(response, "cancelling", "")
        if decode_object(response.body, "the response to /reset").get("success") is not False:
            return
        await trio.sleep(_BETWEEN_RESETS)


async def cancel_by_function(
    http: HTTP, session_hash: str, call: CallRequest, *, alone: bool
) -> bool:
    """Call the app's function that cancels this call, if any; return whether it was called.

    Only this stops a running coroutine.

    Args:
        alone: As for `stop`.
    """
    if not alone or call.canceller is None:
        return False
    body = json.dumps(call.canceller_body(session_hash))
    response = await http.request("POST", "/run/predict", json=body, limiter=http.cancel_requests)
    if response.status != 200:
        raise refusal(response, f"cancelling {call.name}", call.name)
    return True
