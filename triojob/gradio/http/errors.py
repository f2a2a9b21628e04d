"""Maps network errors to triojob's exceptions, whose messages hold no query, header or cookie."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from ..._exceptions import (
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    ProtocolError,
    TriojobError,
    UnexpectedResponse,
    raise_from,
    shorten,
)
from .settings import Timeouts
from .sockets import NotConnected, TimedOut, TransportError

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

NO_RESPONSE = "no response within {} s (Timeouts.read sets the limit)"


class MappedErrors:
    """A context that raises triojob's error in the place of a network error.

    It is a class rather than a generator, because each request uses one.

    Args:
        base: The URL of the app.
        what: The name of the request in errors.
        timed_out: The message if no response arrived in time; ``{}`` stands for `Timeouts.read`.
    """

    __slots__ = ("_base", "_timed_out", "_timeouts", "_what")

    def __init__(self, base: str, timeouts: Timeouts, what: str, timed_out: str) -> None:
        self._base = base
        self._timeouts = timeouts
        self._what = what
        self._timed_out = timed_out

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> None:
        if exc is not None:
            error = self._ours(exc)
            if error is not None:
                import httpx

                # The exception holds the response, and with it the request and all data that was
                # sent.
                is_hidden = isinstance(exc, httpx.HTTPStatusError)
                try:
                    raise_from(error, None if is_hidden else exc)
                finally:
                    del self, exc, error  # see raise_first

    def _ours(self, exc: BaseException) -> TriojobError | None:
        """Return the error to raise from ``exc``; None if ``exc`` is not a network error."""
        import httpx

        if isinstance(exc, httpx.RequestError):
            cast("Any", exc).request = None  # it holds all data that was sent
        where = f"{self._base} ({self._what})"
        if isinstance(exc, TransportError):
            return self._of_transport(exc, where)
        if isinstance(exc, httpx.ConnectTimeout):
            return self._of_transport(TimedOut("connect"), where)
        if isinstance(exc, (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol)):
            return ConnectionFailed(f"no connection to {where}: {_words(exc)}")
        if isinstance(exc, httpx.ReadTimeout):
            return self._of_transport(TimedOut("read"), where)
        if isinstance(exc, httpx.WriteTimeout):
            return self._of_transport(TimedOut("write"), where)
        if isinstance(exc, httpx.HTTPStatusError):
            # A hook of the caller's own client raises it; its message contains the URL with its
            # query.
            status = exc.response.status_code
            return UnexpectedResponse(
                f"{where}: the server responded with status {status}", status=status
            )
        if isinstance(exc, (httpx.InvalidURL, UnicodeError)):
            # httpx parses the target of a redirect, although it must not follow it.
            words = f"the server redirects to an invalid address: {shorten(exc)}"
            return ProtocolError(f"{where}: {words}")
        if isinstance(exc, httpx.HTTPError):
            return ConnectionLost(f"lost the connection to {where}: {_words(exc)}")
        return None

    def _of_transport(self, error: TransportError, where: str) -> TriojobError:
        times = self._timeouts
        if isinstance(error, NotConnected):
            return ConnectionFailed(f"no connection to {where}: {_words(error)}")
        if not isinstance(error, TimedOut):
            return ConnectionLost(f"lost the connection to {where}: {_words(error)}")
        if error.phase == "connect":
            limit = f"{times.connect} s (Timeouts.connect sets the limit)"
            return ConnectionFailed(f"no connection to {where} within {limit}")
        if error.phase == "write":
            limit = f"{times.write} s (Timeouts.write sets the limit)"
            return ConnectionTimeout(f"{where}: the server accepted no data for {limit}")
        return ConnectionTimeout(f"{where}: {self._timed_out.format(times.read)}")


def _words(exc: BaseException) -> str:
    # In a failed TLS handshake, only the innermost cause has a message.
    words = ""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            # One error for each address of the host; the group's own message only reports that all
            # failed.
            errors = cast("BaseExceptionGroup[BaseException]", cause).exceptions
            words = ", ".join(dict.fromkeys(map(_reason, errors)))
            break
        words = words or (isinstance(cause, OSError) and cause.strerror) or str(cause)
        cause = cause.__cause__ or cause.__context__
    return shorten(words) if words else type(exc).__name__


def _reason(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.errno is not None:
        return os.strerror(exc.errno)
    return str(exc) or type(exc).__name__
