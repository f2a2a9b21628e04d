"""One call's data is that call's failure: nothing that it causes ends a task that calls share."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

from .._errors import ProtocolError, TriojobError, leaves, short_repr
from .._secrets import holds_secret

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


def call_failure(error: Exception, name: str) -> TriojobError:
    """Return what a call fails with when its data caused ``error``.

    Args:
        name: The endpoint, or what else was being done; the message says it.

    Returns:
        An error of ours, out of the group that a nursery made of it; a `ProtocolError` for any
        other, with ``error`` as its cause unless that holds a secret.
    """
    first = leaves(error)[0]
    if isinstance(first, TriojobError):
        return first if name in str(first) else own_error(first, name)
    failure = ProtocolError(f"{name}: talking to the server raised {short_repr(first)}")
    failure.__cause__ = None if holds_secret(error) else error
    return failure


def own_error(error: TriojobError, name: str) -> TriojobError:
    """Return a copy of an error for one call: raised in several tasks, one would mix them up."""
    own = copy.copy(error)
    own.args = (f"{name}: {error}",)
    own.__cause__ = error
    return own


@contextmanager
def contained(fail: Callable[[TriojobError], object], name: str) -> Generator[None, None, None]:
    """Call ``fail`` with the `call_failure` of whatever `Exception` the body raises.

    What is not an `Exception`, such as a cancellation, passes through; of a group that has both,
    that part does.
    """
    try:
        yield
    except BaseException as exc:  # noqa: BLE001 - what is no Exception is raised on
        failure, passing = _split(exc)
        try:
            if failure is not None:
                fail(call_failure(failure, name))
            if passing is exc:
                raise
            if passing is not None:
                raise passing from None
        finally:
            # The tracebacks hold this frame, which must not hold the exceptions.
            del failure, passing


def _split(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """Return what of ``error`` is an `Exception`, and what is not."""
    if isinstance(error, Exception):
        return error, None
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(Exception)
    return None, error
