"""The kinds of failures of rows, and their texts."""

from __future__ import annotations

import trio

from .._exceptions import (
    AppError,
    AuthenticationError,
    ClientClosed,
    ConnectionTimeout,
    EndpointNotFound,
    GroupClosed,
    JobCancelled,
    MissingDependency,
    NetworkError,
    ProtocolError,
    QueueFull,
    SpaceError,
    TooManyRequests,
    TriojobError,
    ValidationError,
    error_words,
)

_KINDS: tuple[tuple[tuple[type[BaseException], ...], str | None], ...] = (
    ((ConnectionTimeout, trio.TooSlowError), "timeout"),
    ((AuthenticationError,), "auth_error"),
    ((QueueFull, TooManyRequests), "rate_limited"),
    ((EndpointNotFound,), "invalid_input"),
    ((JobCancelled,), "cancelled"),
    ((NetworkError, ProtocolError, SpaceError), "connection"),
    ((MissingDependency, OSError), "local"),
    ((ClientClosed, GroupClosed), None),
    ((TriojobError,), "app_error"),
)


def kind_of(error: BaseException) -> str | None:
    """Return the outcome of a row whose call failed this way; None if no row causes it."""
    return next((kind for kinds, kind in _KINDS if isinstance(error, kinds)), None)


def is_outage(error: BaseException) -> bool:
    """Return whether the error of a call may mean that its app is unreachable."""
    return isinstance(error, TriojobError) and kind_of(error) in ("connection", "timeout")


def describe(error: BaseException) -> str:
    """Describe a failure in one sentence."""
    if isinstance(error, (AppError, ValidationError)):
        return str(error)  # the app's own message
    if isinstance(error, OSError) and error.strerror is not None:
        name = "" if error.filename is None else f": {error.filename!r}"
        return f"{error.strerror}{name}"
    return error_words(error) or type(error).__name__
