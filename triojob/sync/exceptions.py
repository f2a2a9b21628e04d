"""The exceptions for synchronous code: triojob's, with gradio_client's names and bases.

Each derives from its counterpart in triojob, and from the exception that a program for
gradio_client catches: `ValueError`, or the httpx exception that gradio_client lets through.
If an HTTP response caused the failure of a job, the exception is of one of these classes and also
an `httpx.HTTPStatusError`, with ``response``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import httpx
import trio

from .. import _exceptions
from ..gradio.http.sockets import Broken, NotConnected, Phase, TimedOut


class AppError(_exceptions.AppError, ValueError):
    """The app's function raised an exception.

    Attributes:
        message, title, duration, visible: As for `triojob.AppError`.
        print_exception: Whether the app prints the traceback on the server.
    """

    def __init__(
        self,
        message: str = "Error raised.",
        duration: float | None = 10,
        visible: bool = True,  # noqa: FBT001, FBT002 - the order of gradio_client's
        title: str = "Error",
        print_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(message, title=title, duration=duration, visible=visible)
        self.print_exception = print_exception


class AuthenticationError(_exceptions.AuthenticationError, ValueError):
    """The app requires a login, or refused the given one."""


class ValidationError(_exceptions.ValidationError):
    """The app's validator refused the input before the function ran."""


class EndpointNotFound(_exceptions.EndpointNotFound, ValueError):
    """The app does not have this endpoint, or the request is ambiguous."""


class SpaceError(_exceptions.SpaceError, ValueError):
    """A Hugging Face Space can't be used."""


class QueueError(_exceptions.QueueFull):
    """The app's queue is full; nothing was queued."""


class TooManyRequestsError(_exceptions.TooManyRequests):
    """The server limits the rate of requests."""


class _OfHTTPX:
    # httpx's exceptions refer to the request, whose URL contains the session hash.
    _request: httpx.Request | None = None


class ConnectionLost(_exceptions.ConnectionLost, _OfHTTPX, httpx.TransportError):
    """The connection broke; whether the server finished the work is unknown.

    Depending on the cause, it is also an `httpx.ReadError`, an `httpx.RemoteProtocolError` or
    another httpx exception.
    """


class ConnectionFailed(_exceptions.ConnectionFailed, _OfHTTPX, httpx.TransportError):
    """No connection could be made; the server never received the request.

    It is also an `httpx.ConnectError` or an `httpx.ConnectTimeout`.
    """


class ConnectionTimeout(_exceptions.ConnectionTimeout, _OfHTTPX, httpx.TimeoutException):
    """The network took longer than allowed.

    It is also an `httpx.ReadTimeout` or an `httpx.WriteTimeout`.
    """


class ServerStopped(_exceptions.ServerStopped, ValueError):
    """The server reports that its queue has stopped."""


class _StatusError(_OfHTTPX, httpx.HTTPStatusError):
    """An unsuccessful response, with its status and the beginning of its body."""

    response: httpx.Response


_Kind: TypeAlias = "type[Exception]"
_combinations: dict[tuple[_Kind, _Kind], _Kind] = {}


def _combine(kind: _Kind, other: _Kind) -> _Kind:
    """Return a subclass of two exception classes, under the name of the first."""
    found = _combinations.get((kind, other))
    if found is not None:
        return found

    def reduce(error: Exception) -> object:
        return _rebuild, (kind, other, error.args, error.__dict__)

    names = {"__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": reduce}
    # If several threads come here at once, all use the class of the first one.
    return _combinations.setdefault((kind, other), type(kind.__name__, (kind, other), names))


def _rebuild(kind: _Kind, other: _Kind, args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = _combine(kind, other)(*args)
    error.__dict__.update(state)
    return error


_PHASES: dict[Phase, _Kind] = {
    "connect": httpx.ConnectTimeout,
    "write": httpx.WriteTimeout,
    "read": httpx.ReadTimeout,
}


def _in_gradio_client(error: _exceptions.TriojobError, *, opening: bool) -> _Kind | None:
    """Return gradio_client's exception class for the cause of an error that has no name there."""
    refusal = error.response
    if refusal is not None:
        if opening or (refusal.of_call and refusal.status == 422):  # of a validator
            return None
        return QueueError if refusal.of_call and refusal.status == 503 else _StatusError
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx.TransportError):
            return type(cause)
        if isinstance(cause, TimedOut):
            return _PHASES[cause.phase]
        if isinstance(cause, NotConnected):
            return httpx.ConnectError
        if isinstance(cause, Broken):
            broke = isinstance(cause.__cause__, trio.BrokenResourceError)
            return httpx.ReadError if broke else httpx.RemoteProtocolError
        cause = cause.__cause__
    return None


_HIDDEN = (
    "The upstream Gradio app has raised an exception but has not enabled "
    "verbose error reporting. To enable, set show_error=True in launch()."
)
_WORDS: dict[_Kind, str] = {
    QueueError: "Queue is full! Please try again.",
    TooManyRequestsError: "Too many requests to the API, please try again later.",
    ServerStopped: "Server stopped.",
}
_DETAILS = frozenset({"title", "duration", "visible", "print_exception"})
_KINDS: tuple[tuple[_Kind, _Kind], ...] = (
    (_exceptions.ValidationError, ValidationError),
    (_exceptions.AuthenticationError, AuthenticationError),
    (_exceptions.EndpointNotFound, EndpointNotFound),
    (_exceptions.SpaceError, SpaceError),
    (_exceptions.QueueFull, QueueError),
    (_exceptions.TooManyRequests, TooManyRequestsError),
    (_exceptions.ServerStopped, ServerStopped),
    (_exceptions.ConnectionFailed, ConnectionFailed),
    (_exceptions.ConnectionTimeout, ConnectionTimeout),
    (_exceptions.ServerRestarted, _exceptions.ServerRestarted),
    (_exceptions.ConnectionLost, ConnectionLost),
)
"""The first match applies."""


def translate(error: Exception, *, opening: bool = False) -> Exception:
    """Return the exception for synchronous code; other exceptions than triojob's stay unchanged.

    It has gradio_client's message, if gradio_client has one.

    Args:
        opening: Whether a client was being opened, where gradio_client has names for all responses.
    """
    if not isinstance(error, _exceptions.TriojobError):
        return error
    new: Exception
    if isinstance(error, _exceptions.AppError):
        new = _app_error(error)
    else:
        ours = next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), type(error))
        other = _in_gradio_client(error, opening=opening)
        kind = ours if other is None or issubclass(ours, other) else _combine(ours, other)
        if kind is type(error):
            return error
        words = _WORDS.get(ours) or _words(error)
        response = _response(kind, error.response)
        if response is not None:
            # The text that programs search for in the message of an httpx exception.
            words = f"{words} ({response.status_code} {response.reason_phrase})"
        new = kind(words)
        new.__dict__.update(error.__dict__)
        if response is not None:
            new.__dict__["response"] = response
    new.__cause__ = error.__cause__
    return new.with_traceback(error.__traceback__)


def _response(kind: _Kind, refusal: _exceptions.ErrorResponse | None) -> httpx.Response | None:
    if refusal is None or not issubclass(kind, _StatusError):
        return None
    return httpx.Response(refusal.status, text=refusal.text)


def _words(error: Exception) -> str:
    if isinstance(error, _exceptions.ValidationError) and error.errors:
        lines = [f"- {name}: {message}" for name, message in error.errors.items()]
        return "\n".join([f"{len(lines)} parameter(s) failed validation:", *lines])
    if not isinstance(error, _exceptions.SpaceError):
        return str(error)
    if error.stage is None:
        return f"Could not find Space: {error.space}. {error}"
    return f"The current space is in the invalid state: {error.stage}. {error}"


def _app_error(error: _exceptions.AppError) -> AppError:
    if error.message is None:
        new = AppError(_HIDDEN)
    else:
        # Fields that the server omits get the defaults of AppError; null fields stay None.
        told: dict[str, Any] = {
            name: value for name, value in error.details.items() if name in _DETAILS
        }
        new = AppError(error.message, **told)
    new.endpoint, new.details = error.endpoint, error.details
    return new
