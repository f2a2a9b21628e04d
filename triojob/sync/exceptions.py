"""The exceptions that synchronous code gets: triojob's, under gradio_client's names and bases.

Each derives from the one of triojob that it stands for, and from what a program that was written
for gradio_client catches: `ValueError`, or the exception of httpx that it lets through.
"""

from __future__ import annotations

import httpx

from .. import _errors


class AppError(_errors.AppError, ValueError):
    """The app's function raised.

    Attributes:
        message, title, duration, visible: As for `triojob.AppError`.
        print_exception: Whether the app prints the traceback on its side.
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


class AuthenticationError(_errors.AuthenticationError, ValueError):
    """The app wants a login, or refused the one it was given."""


class ValidationError(_errors.ValidationError):
    """The app's validator refused the input before the function ran."""


class EndpointNotFound(_errors.EndpointNotFound, ValueError):
    """The app has no such endpoint, or it is not clear which one is meant."""


class SpaceError(_errors.SpaceError, ValueError):
    """A Hugging Face Space can't be used."""


class QueueError(_errors.QueueFull):
    """The app's queue is full; nothing was queued."""


class TooManyRequestsError(_errors.TooManyRequests):
    """The server limits the rate of requests."""


class _OfHTTPX:
    # httpx's exceptions tell of the request, whose URL holds the session's hash.
    _request: httpx.Request | None = None


class ConnectionLost(_errors.ConnectionLost, _OfHTTPX, httpx.TransportError):
    """The connection broke; whether the server finished the work is not known."""


class ConnectionFailed(_errors.ConnectionFailed, _OfHTTPX, httpx.ConnectError):
    """No connection could be made; the server never saw the request."""


class ConnectionTimeout(_errors.ConnectionTimeout, _OfHTTPX, httpx.TimeoutException):
    """The network took longer than it may."""


class ServerStopped(_errors.ServerStopped, ValueError):
    """The server says that its queue has stopped."""


_HIDDEN = (
    "The upstream Gradio app has raised an exception but has not enabled "
    "verbose error reporting. To enable, set show_error=True in launch()."
)
_WORDS: dict[type[Exception], str] = {
    QueueError: "Queue is full! Please try again.",
    TooManyRequestsError: "Too many requests to the API, please try again later.",
    ServerStopped: "Server stopped.",
}
_KINDS: tuple[tuple[type[Exception], type[Exception]], ...] = (
    (_errors.AuthenticationError, AuthenticationError),
    (_errors.EndpointNotFound, EndpointNotFound),
    (_errors.SpaceError, SpaceError),
    (_errors.QueueFull, QueueError),
    (_errors.TooManyRequests, TooManyRequestsError),
    (_errors.ServerStopped, ServerStopped),
    (_errors.ConnectionFailed, ConnectionFailed),
    (_errors.ConnectionTimeout, ConnectionTimeout),
    (_errors.ServerRestarted, _errors.ServerRestarted),
    (_errors.ConnectionLost, ConnectionLost),
)
"""The first that fits is taken."""


def translate(error: Exception) -> Exception:
    """Return what synchronous code gets for an exception of triojob; others are left as they are.

    The words are gradio_client's where it has some of its own.
    """
    new: Exception | None = None
    if isinstance(error, _errors.AppError):
        new = _app_error(error)
    elif isinstance(error, _errors.ValidationError):
        lines = [f"- {name}: {message}" for name, message in error.errors.items()]
        text = "\n".join([f"{len(lines)} parameter(s) failed validation:", *lines])
        new = ValidationError(text, errors=error.errors, endpoint=error.endpoint)
    else:
        for theirs, ours in _KINDS:
            if isinstance(error, theirs):
                new = ours(_WORDS.get(ours, str(error)))
                new.__dict__.update(error.__dict__)
                break
    if new is None:
        return error
    new.__cause__ = error.__cause__
    return new.with_traceback(error.__traceback__)


def _app_error(error: _errors.AppError) -> AppError:
    new = AppError(
        _HIDDEN if error.message is None else error.message,
        error.duration if error.message is not None or error.duration is not None else 10,
        error.visible,
        error.title or "Error",
    )
    new.endpoint = error.endpoint
    return new
