"""The exception hierarchy of triojob.

::

    TriojobError
    ├── AppError (RuntimeError)                       the app raised
    ├── JobCancelled (concurrent.futures.CancelledError)
    ├── JobTimeout (trio.TooSlowError, TimeoutError)  the wait ended, the job keeps running
    ├── JobNotDone (concurrent.futures.InvalidStateError)
    ├── ClientClosed (trio.ClosedResourceError)       a client, pool, session: not entered, or ended
    ├── GroupClosed (trio.ClosedResourceError)        a group: not entered, or ended
    ├── MissingDependency (ImportError)               an optional library is needed
    ├── InputStreamClosed (trio.BrokenResourceError)  a stream of inputs has ended
    ├── EndpointNotFound (LookupError)
    ├── EndpointMismatch (RuntimeError)               an endpoint differs from its description
    ├── ValidationError (ValueError)                  the app's validator refused the input
    ├── AuthenticationError (PermissionError)
    ├── FileTooLarge (ValueError)                     a file exceeds a limit of the app or yours
    ├── SpaceError (RuntimeError)                     a Hugging Face Space can't be used
    ├── QueueFull (queue.Full)
    ├── TooManyRequests (RuntimeError)
    ├── StoreError (RuntimeError)                     the store of a durable run can't be used
    │   └── StoreMismatch                             its rows were made by other inputs
    ├── RunStopped (RuntimeError)                     a durable run stopped before its end
    ├── ProtocolError (ValueError)                    an invalid message
    │   └── UnexpectedResponse                        an invalid HTTP response
    └── NetworkError (ConnectionError)
        ├── ConnectionLost                            the connection broke
        ├── ConnectionFailed                          no connection was made: nothing was sent
        │   └── NoReplicaAvailable                    no app of a pool took the call
        ├── ConnectionTimeout (TimeoutError)          a phase took longer than `Timeouts` allows
        ├── ServerRestarted                           State is lost: nothing was sent
        └── ServerStopped                             the server reports that it is shutting down

Each also derives from the built-in exception that a caller would catch.
Messages say what happened, to which endpoint, and what to do.
They never hold a token, a password, a cookie or a session: `TriojobError` masks secrets in text
that a server sent.
All of them can be pickled, so they cross process boundaries unchanged.
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
    """An HTTP response that refused a request, for code that classifies errors by status."""

    status: int
    text: str
    """The beginning of the body, without secrets."""
    of_call: bool
    """Whether the request was the one that makes a call."""


class TriojobError(Exception):
    """The base class of every exception that triojob defines."""

    response: ErrorResponse | None = None
    """The response that caused it, if any."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(scrub(arg, ours=True) if isinstance(arg, str) else arg for arg in args))


class AppError(TriojobError, RuntimeError):
    """The app's function raised an exception.

    Attributes:
        message: The error message of the app (`str`), or None if the app hides its errors; cut
            after 100,000 characters, with your secrets masked.
        title: The title of the error as the app's page shows it, or None.
        duration: How long the app's page shows it, in seconds, or None.
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
        """The fields of the error that the server sent; it omits fields that the server omitted."""
        super().__init__(message)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        return (
            f"{self.endpoint or 'the endpoint'} raised an error whose message the app hides; "
            "to see it, start the app with launch(show_error=True) or raise gr.Error in it"
        )


class JobCancelled(TriojobError, concurrent.futures.CancelledError):
    """The job was cancelled: by `Job.cancel`, by its group, or by the server.

    Attributes:
        reason: The reason that was given for the cancellation, or None.
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
        """Both exceptions, which were separate before Python 3.11."""

else:
    _Timeout = TimeoutError


class JobTimeout(TriojobError, trio.TooSlowError, _Timeout):
    """`Job.result` reached its timeout; the job keeps running."""


class JobNotDone(TriojobError, concurrent.futures.InvalidStateError):
    """Only a finished job has this value; call ``await job.wait()`` first."""


class ClientClosed(TriojobError, trio.ClosedResourceError):
    """The client, pool or session accepts no more calls: it was not entered, or has ended."""


class GroupClosed(TriojobError, trio.ClosedResourceError):
    """The group accepts no more jobs: it was not entered, or has ended."""


class MissingDependency(TriojobError, ImportError):
    """A part of triojob needs a library that is not installed; the message names it."""


class InputStreamClosed(TriojobError, trio.BrokenResourceError):
    """The call accepts no more inputs: it has ended, or its input was closed."""


class EndpointNotFound(TriojobError, LookupError):
    """The app does not have this endpoint.

    Attributes:
        available: The names of the app's endpoints (tuple of `str`).
        nearest: The available name that is most similar to the requested one, or None.
    """

    def __init__(
        self, message: str, *, available: tuple[str, ...] = (), nearest: str | None = None
    ) -> None:
        self.available: tuple[str, ...] = scrub_each(available)
        self.nearest: str | None = None if nearest is None else scrub(nearest, ours=True)
        super().__init__(message)


class EndpointMismatch(TriojobError, RuntimeError):
    """An endpoint has other parameters or return values than its description.

    The description is a typed module, another replica of a pool, or another one by the app itself.
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
    """The app requires a login, or refused the given one."""


class FileTooLarge(TriojobError, ValueError):
    """A file has more bytes than the app accepts, or than the limit for downloads of `Client`."""


class SpaceError(TriojobError, RuntimeError):
    """A Hugging Face Space can't be used: it is missing, private, or in a permanent error stage.

    Attributes:
        space: The Space's name, ``"owner/name"``.
        stage: The hub's name of the error stage, such as ``"BUILD_ERROR"``; None if the hub
            doesn't show the Space.
    """

    def __init__(self, message: str, *, space: str = "", stage: str | None = None) -> None:
        self.space = space
        self.stage = stage
        super().__init__(message)


class QueueFull(TriojobError, queue.Full):
    """The app's queue is full; nothing was queued, so you can retry the call later."""


class TooManyRequests(TriojobError, RuntimeError):
    """The server responded with 429: it limits the rate of requests.

    Attributes:
        retry_after: The server's delay before the next request, in seconds, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class StoreError(TriojobError, RuntimeError):
    """The store of a durable run can't be used."""


class StoreMismatch(StoreError):
    """The store has rows that the run must not continue.

    They were made by other inputs, which the message names, or ``resume=False`` was given.
    """


class RunStopped(TriojobError, RuntimeError):
    """A durable run stopped before its end: too many rows failed, or the app was unreachable.

    The same run continues it.

    Attributes:
        outcome: The last row's outcome, such as ``"connection"``.
    """

    def __init__(self, message: str, *, outcome: str = "") -> None:
        self.outcome = outcome
        super().__init__(message)


class ProtocolError(TriojobError, ValueError):
    """The server sent an invalid message; the error shows the beginning of it."""


class UnexpectedResponse(ProtocolError):
    """The server's HTTP response is invalid here.

    Attributes:
        status: The HTTP status code.
        retry_after: The server's delay before the next request, in seconds, or None.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class NetworkError(TriojobError, ConnectionError):
    """The network failed, or the server went away; the subclasses say how."""


class ConnectionLost(NetworkError):
    """The connection broke; whether the server finished the work is unknown."""


class ConnectionFailed(NetworkError):
    """No connection could be made; the server never received the request."""


class NoReplicaAvailable(ConnectionFailed):
    """No replica of a pool took the call, or could be opened; none has started it.

    Attributes:
        failures: The failure of each replica: a dict of the replica's source to the exception.
    """

    def __init__(self, message: str, *, failures: Mapping[str, TriojobError] | None = None) -> None:
        self.failures: dict[str, TriojobError] = dict(failures or {})
        super().__init__(message)


class ConnectionTimeout(NetworkError, TimeoutError):
    """The network took longer than `Timeouts` allows for this phase."""


class ServerRestarted(NetworkError):
    """The app was restarted since the call's session was last used; nothing was sent.

    The session's ``gr.State`` is lost, or the endpoint has changed.
    The next call works again, with a new State.
    """


class CallInterrupted(TriojobError, RuntimeError):
    """A call was stopped together with another call of the same function in its session.

    This happens only in sessions that you open (`Client.session`): there, a call of a generator
    can start at the moment when another call of it is cancelled.
    """


class ServerStopped(NetworkError):
    """The server reports that its queue has stopped."""


def raise_from(error: TriojobError, cause: BaseException | None) -> NoReturn:
    """Raise an error in place of a library's, chained to that unless it holds a secret.

    Args:
        cause: The exception of the library; None for one that must never be shown.
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
    """Split an exception or a group into a part of a kind and the rest, at most one of each."""
    if isinstance(error, kind):
        return [error], []
    if not isinstance(error, BaseExceptionGroup):
        return [], [error]
    found, rest = cast("BaseExceptionGroup[BaseException]", error).split(kind)
    return [] if found is None else [found], [] if rest is None else [rest]


def raise_first(errors: list[E]) -> None:
    """Raise the first exception of the list, if there is one, and empty the list.

    A traceback holds the frames that the exception passes, and these hold their variables and, from
    Python 3.12 on, the frames that called them.  If such a frame has a variable with the exception,
    or with a job that failed with it, they form a reference cycle, which lives until the garbage
    collector runs.  Therefore code that raises an exception later keeps it in a list, from which
    this function takes it.  Where a frame needs the job itself, only ``del`` helps; comments at
    these places refer to this docstring.
    """
    if errors:
        error = errors[0]
        errors.clear()
        context = error.__context__
        try:
            raise error
        finally:
            # Python has just set this to the exception that is being handled, which is irrelevant.
            error.__context__ = context
            del error, context


def add_note(error: BaseException, note: str) -> None:
    """Add a note that tracebacks of an exception show, once (PEP 678)."""
    notes: Sequence[str] = getattr(error, "__notes__", ())
    if note in notes:
        return
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:  # exceptiongroup shows notes, but has no such method
        error.__notes__ = [*notes, note]  # type: ignore[attr-defined]


def direct_exceptions(error: BaseException) -> tuple[BaseException, ...]:
    """Return the direct exceptions of an exception group; none for any other exception."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def flatten(error: BaseException) -> list[BaseException]:
    """Return the leaves of a tree of exception groups; only ``error`` if it is not a group."""
    inside = direct_exceptions(error)
    return [leaf for part in inside for leaf in flatten(part)] if inside else [error]


def error_words(error: BaseException) -> str:
    """Return the text of an exception, even if its own ``__str__`` raises."""
    try:
        return str(error)
    except Exception as exc:  # noqa: BLE001 - raised by a foreign `__str__`, and shown here
        return f"<its text raised {type(exc).__name__}>"


def shorten(text: object, limit: int = 200) -> str:
    """Return foreign text or bytes as an error message shows them.

    The result has at most ``limit`` characters, and no secret.
    """
    return scrub_start(text if isinstance(text, (bytes, bytearray)) else str(text), limit)


class _Short(reprlib.Repr):
    """A `repr` for values that are too deep, too large or too unusual for `repr`."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 8
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 50
        self.maxstring = self.maxlong = self.maxother = 400

    def repr_str(self, x: str, level: int) -> str:
        # The base class shows the beginning and the end, and could cut a secret in two.
        return repr(scrub_start(x, self.maxstring))

    def repr_instance(self, x: object, level: int) -> str:
        try:
            return scrub_start(repr(x), self.maxother)
        except Exception:  # noqa: BLE001 - as the base class does
            return super().repr_instance(x, level)

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to format integers with thousands of digits.
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "<a huge number>"


_short = _Short()


def short_repr(value: object, limit: int = 200) -> str:
    """Return ``repr(value)`` for an error message: at most ``limit`` characters, for any value."""
    return shorten(_short.repr(value), limit)
