"""Event streams of accepted calls, and the errors that end such a stream for all of its calls.

Once a call is accepted, no error can claim that the server did nothing: the call may be running.

Wire source: gradio 4.20 to 6.31, ``routes.py`` (``queue_data_helper``), ``server_messages.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..._exceptions import (
    AuthenticationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    NetworkError,
    ServerStopped,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    shorten,
)
from ..http.client import HTTP, EventStream
from ..http.response import Response
from .refusals import caused_by, refusal


def open_stream(
    http: HTTP, path: str, doing: str, refused: Callable[[TriojobError], Awaitable[None]]
) -> EventStream:
    """Return the event stream of accepted calls, to be entered; see `HTTP.open_events`.

    The server keeps the messages of calls until their stream is opened, so a refused stream can be
    requested again.

    Args:
        doing: The operation that errors name.
        refused: Called with the error if the stream could not be opened: it returns when to request
            the stream again, or raises.

    Raises:
        NetworkError: While entering: the network failed.
        UnexpectedResponse, ServerStopped: While entering: the server refused the stream.
    """

    def refuse(response: Response) -> TriojobError:
        error = refusal(response, doing, "")
        if isinstance(error, (AuthenticationError, TooManyRequests)):
            wait = error.retry_after if isinstance(error, TooManyRequests) else None
            unexpected = UnexpectedResponse(str(error), status=response.status, retry_after=wait)
            return caused_by(response, unexpected)
        return error

    async def failed(error: TriojobError) -> None:
        is_refusal = isinstance(error, (NetworkError, UnexpectedResponse))
        if not is_refusal or isinstance(error, ConnectionTimeout):
            raise error
        try:
            await refused(error)
        except ConnectionFailed as exc:
            # The server has not received this request, but it has received the calls.
            raise ConnectionLost(str(exc)) from exc

    return http.open_events(path, refuse, failed=failed)


def stream_failure(what: str, words: object, *, forgotten: bool) -> NetworkError:
    """Return the error for an event that reports a failed stream.

    Args:
        what: The owner of the stream, for messages.
        words: The server's message.
        forgotten: Whether the server reports that it does not know the session or the event.
    """
    if forgotten:
        return ConnectionLost(f"the server no longer knows {what}")
    said = shorten(words or "no reason given")
    if "stopped" in said.lower():
        return ServerStopped(f"the event stream of {what} ended: {said}")
    return ConnectionLost(f"the event stream of {what} failed: {said}")
