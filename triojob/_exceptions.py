"""The exception hierarchy of triojob, drawn here.

::

    TriojobError
    ├── AppError (RuntimeError)                       the app raised
    ├── JobCancelled (concurrent.futures.CancelledError)
    ├── JobTimeout (trio.TooSlowError, TimeoutError)  the wait ended, the job did not
    ├── JobNotDone (concurrent.futures.InvalidStateError)
    ├── ClientClosed (trio.ClosedResourceError)       a client, pool, session: not entered, or ended
    ├── GroupClosed (trio.ClosedResourceError)        a group: not entered, or ended
    ├── MissingDependency (ImportError)           a library that is optional is needed
    ├── InputStreamClosed (trio.BrokenResourceError)  a stream of inputs has ended
    ├── EndpointNotFound (LookupError)
    ├── EndpointMismatch (RuntimeError)               an endpoint is not what was said of it
    ├── ValidationError (ValueError)                  the app's validator refused the input
    ├── AuthenticationError (PermissionError)
    ├── FileTooLarge (ValueError)                     a file, for the app or for the settings here
    ├── SpaceError (RuntimeError)                     a Hugging Face Space can't be used
    ├── QueueFull (queue.Full)
    ├── TooManyRequests (RuntimeError)
    ├── ProtocolError (ValueError)                    a message that can't be
    │   └── UnexpectedResponse                        an HTTP response that can't be
    └── NetworkError (ConnectionError)
        ├── ConnectionLost                            the connection broke
        ├── ConnectionFailed                          no connection was made: nothing was sent
        │   └── NoReplicaAvailable                    none of a pool's apps took the call
        ├── ConnectionTimeout (TimeoutError)          a phase took longer than `Timeouts` allows
        ├── ServerRestarted                           State is gone: nothing was sent
        └── ServerStopped                             the server says that it is going away

Each also derives from the built-in that a caller would catch.
Messages say what happened, to which endpoint and what to do.
They never hold a token, a password, a cookie or a session: `TriojobError` takes out what a server
has shown of them.
All of them can be pickled, so they cross process borders whole.
"""

from __future__ import annotations

import concurrent.futures
import queue
import reprlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeVar, cast

import trio

from ._secrets import holds_secret, scrub, scrub_each, scrub_start

E = TypeVar("E", bound=BaseException)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


class ErrorResponse(NamedTuple):
    """An HTTP response that refused a request, for those who know such exceptions by it."""

    status: int
    text: str
    """The beginning of the body, without secrets."""
    of_call: bool
    """Whether the request was the one that makes a call."""


class TriojobError(Exception):
    """The root of every exception that triojob defines."""

    response: ErrorResponse | None = None
    """The response that caused it, if one did."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(scrub(arg, ours=True) if isinstance(arg, str) else arg for arg in args))


class AppError(TriojobError, RuntimeError):
    """The app's function raised.

    Attributes:
        message: What the app said (`str`), or None if it hides its errors; cut after 100,000
            characters, and with a mask for each secret of yours that it holds.
        title: The title of the error as the app's page shows it, or None.
        duration: For how many seconds the app's page shows it, or None.
        visible: Whether the app's page shows it at all.
        endpoint: The endpoint that was called, as ``"/name"`` or ``"fn_index 3"``.

    Wire source: ``process_completed`` with ``success: false`` (gradio 6.31, ``queueing.py``).
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        title: str | None = None,
        duration: float | None = None,
        visible: bool = True,
        endpoint: str = "",
    ) -> None:
        message = None if message is None else scrub(message)
        self.message: str | None = message
        self.title: str | None = None if title is None else scrub(title)
        self.duration = duration
        self.visible = visible
        self.endpoint = endpoint
        self.details: Mapping[str, object] = {}
        """What the server said of the error, field by field; what it left out is not there."""
        super().__init__(message)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        return (
            f"{self.endpoint or 'the endpoint'} raised an error that the app does not show; "
            "to see it, start the app with launch(show_error=True) or raise gr.Error in it"
        )


class JobCancelled(TriojobError, concurrent.futures.CancelledError):
    """The job was cancelled: by `Job.cancel`, by its group, or by the server.

    Attributes:
        reason: What the one who cancelled gave as the reason, or None.
    """

    def __init__(
        self, message: str = "the job was cancelled", *, reason: str | None = None
    ) -> None:
        self.reason = reason
        super().__init__(message)

    def __str__(self) -> str:
        message = str(self.args[0])
        return message if self.reason is None else f"{message}: {self.reason}"


if sys.version_info < (3, 11):

    class _Timeout(TimeoutError, concurrent.futures.TimeoutError):
        """Both of what were two exceptions before Python 3.11."""

else:
    _Timeout = TimeoutError


class JobTimeout(TriojobError, trio.TooSlowError, _Timeout):
    """`Job.result` waited as long as it was told to; the job goes on."""


class JobNotDone(TriojobError, concurrent.futures.InvalidStateError):
    """Asked for what only a finished job has; ``await job.wait()`` first."""


class ClientClosed(TriojobError, trio.ClosedResourceError):
    """The client, pool or session takes no more calls: it was not entered, or has ended."""


class GroupClosed(TriojobError, trio.ClosedResourceError):
    """The group takes no more jobs: it was not entered, or has ended."""


class MissingDependency(TriojobError, ImportError):
    """A part of triojob needs a library that is not installed; the message says which."""


class InputStreamClosed(TriojobError, trio.BrokenResourceError):
    """The call takes no more inputs: it has ended, or its input was closed."""


class EndpointNotFound(TriojobError, LookupError):
    """The app has no such endpoint.

    Attributes:
        available: The names of the endpoints that there are (tuple of `str`).
        nearest: The available name most like the one asked for, or None.
    """

    def __init__(
        self, message: str, *, available: tuple[str, ...] = (), nearest: str | None = None
    ) -> None:
        self.available: tuple[str, ...] = scrub_each(available)
        self.nearest: str | None = None if nearest is None else scrub(nearest, ours=True)
        super().__init__(message)


class EndpointMismatch(TriojobError, RuntimeError):
    """An endpoint takes or returns other things than it is said to.

    A typed module, another replica of a pool, or another of the app's own descriptions says so.
    """


class ValidationError(TriojobError, ValueError):
    """The app's validator refused the input before the function ran.

    Attributes:
        errors: What was wrong, by parameter: a dict of parameter name to message.
        endpoint: The endpoint that was called.
    """

    def __init__(
        self, message: str, *, errors: Mapping[str, str] | None = None, endpoint: str = ""
    ) -> None:
        self.errors: dict[str, str] = {
            scrub(name): scrub(words) for name, words in (errors or {}).items()
        }
        self.endpoint = endpoint
        super().__init__(message)


class AuthenticationError(TriojobError, PermissionError):
    """The app wants a login, or refused the one it was given."""


class FileTooLarge(TriojobError, ValueError):
    """A file has more bytes than the app takes, or than `Client` was told to download."""


class SpaceError(TriojobError, RuntimeError):
    """A Hugging Face Space can't be used: it is missing, private, or in a stage of no return.

    Attributes:
        space: The Space's name, ``"owner/name"``.
        stage: The hub's word for what is wrong, such as ``"BUILD_ERROR"``; None if the hub
            doesn't show the Space.
    """

    def __init__(self, message: str, *, space: str = "", stage: str | None = None) -> None:
        self.space = space
        self.stage = stage
        super().__init__(message)


class QueueFull(TriojobError, queue.Full):
    """The app's queue is full; nothing was queued, so the call may be made again later."""


class TooManyRequests(TriojobError, RuntimeError):
    """The server answered 429: it limits the rate of requests.

    Attributes:
        retry_after: After how many seconds the server wants to be asked again, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ProtocolError(TriojobError, ValueError):
    """The server sent what no Gradio server sends; the message shows it, cut short."""


class UnexpectedResponse(ProtocolError):
    """The server's HTTP response makes no sense here.

    Attributes:
        status: The HTTP status code.
        retry_after: After how many seconds the server wants to be asked again, or None.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class NetworkError(TriojobError, ConnectionError):
    """The network failed, or the server went away; its subclasses say how."""


class ConnectionLost(NetworkError):
    """The connection broke; whether the server finished the work is not known."""


class ConnectionFailed(NetworkError):
    """No connection could be made; the server never saw the request."""


class NoReplicaAvailable(ConnectionFailed):
    """No replica of a pool took the call, or could be opened; none has started it.

    Attributes:
        failures: What each of them failed with: a dict of the replica's source to the exception.
    """

    def __init__(self, message: str, *, failures: Mapping[str, TriojobError] | None = None) -> None:
        self.failures: dict[str, TriojobError] = dict(failures or {})
        super().__init__(message)


class ConnectionTimeout(NetworkError, TimeoutError):
    """The network took longer than `Timeouts` allows for this phase."""


class ServerRestarted(NetworkError):
    """The app was restarted since the call's session was last used; nothing was sent.

    The session's ``gr.State`` is gone, or the endpoint has changed.
    The next call goes on, from a new State.
    """


class CallInterrupted(TriojobError, RuntimeError):
    """A call was stopped together with another one of the same function in its session.

    It happens in sessions that you open (`Client.session`) only: there a call of a generator may
    start at the moment in which another call of it is cancelled.
    """


class ServerStopped(NetworkError):
    """The server says that its queue has stopped."""


def raise_from(error: TriojobError, cause: BaseException | None) -> NoReturn:
    """Raise an error in the place of a library's, which is chained to it unless it holds a secret.

    Args:
        cause: None for one that is never to be shown.
    """
    if cause is not None and holds_secret(cause):
        cause = None
    try:
        raise error from cause
    finally:
        error.__context__ = cause
        del error, cause  # see raise_first


def split(
    error: BaseException, kind: type[BaseException]
) -> tuple[list[BaseException], list[BaseException]]:
    """Return what of an exception or a group is of a kind, and what is not: one of each at most."""
    if isinstance(error, kind):
        return [error], []
    if not isinstance(error, BaseExceptionGroup):
        return [], [error]
    found, rest = cast("BaseExceptionGroup[BaseException]", error).split(kind)
    return [] if found is None else [found], [] if rest is None else [rest]


def raise_first(errors: list[E]) -> None:
    """Raise the first of the exceptions that were kept, if there is one, and empty the list.

    A traceback holds the frames that the exception passes, and these hold their variables and, from
    Python 3.12 on, the frames that called them.  So the exception in a variable of such a frame, or
    a job that has failed with it, makes a reference cycle: all of it lives on until the garbage
    collector runs.  Therefore an exception that is to be raised later is kept in a list, out of
    which this takes it.  Where a frame needs the job itself, only ``del`` helps; each refers to
    here.
    """
    if errors:
        error = errors[0]
        errors.clear()
        context = error.__context__
        try:
            raise error
        finally:
            # Python has just noted what is being handled here, which is of no interest.
            error.__context__ = context
            del error, context


def add_note(error: BaseException, note: str) -> None:
    """Have tracebacks of an exception show a note, once (PEP 678)."""
    notes: Sequence[str] = getattr(error, "__notes__", ())
    if note in notes:
        return
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:  # exceptiongroup shows notes, but has no such method
        error.__notes__ = [*notes, note]  # type: ignore[attr-defined]


def direct_exceptions(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of an exception group; none for any other exception."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def flatten(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a tree of groups; ``error`` itself if it is no group."""
    inside = direct_exceptions(error)
    return [leaf for part in inside for leaf in flatten(part)] if inside else [error]


def shorten(text: object, limit: int = 200) -> str:
    """Return what an error shows of a foreign text or bytes.

    That is at most ``limit`` characters, and no secret.
    """
    return scrub_start(text if isinstance(text, (bytes, bytearray)) else str(text), limit)


class _Short(reprlib.Repr):
    """A `repr` of what may be too deep, too large or too odd for `repr`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 8
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 50
        self.maxstring = self.maxlong = self.maxother = 400

    def repr_str(self, x: str, level: int) -> str:
        # Its own way shows the beginning and the end, and may cut a secret in two.
        return repr(scrub_start(x, self.maxstring))

    def repr_instance(self, x: object, level: int) -> str:
        try:
            return scrub_start(repr(x), self.maxother)
        except Exception:  # noqa: BLE001 - as its own way does
            return super().repr_instance(x, level)

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write down what has thousands of digits.
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "<a huge number>"


_short = _Short()


def short_repr(value: object, limit: int = 200) -> str:
    """Return ``repr(value)`` as an error shows it: at most ``limit`` characters, whatever it is."""
    return shorten(_short.repr(value), limit)
