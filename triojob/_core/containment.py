"""Turns whatever the data of one call raises into the failure of that call."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

from .._exceptions import ProtocolError, TriojobError, flatten, raise_first, short_repr, split
from .._secrets import holds_secret


def call_failure(error: Exception, name: str) -> TriojobError:
    """Return the failure of a call whose data caused ``error``.

    Args:
        name: The endpoint or the operation, for the message.

    Returns:
        A `TriojobError`, taken out of the group that a nursery wrapped it in; for any other error,
        a `ProtocolError` with ``error`` as its cause, unless that holds a secret.
    """
    first = flatten(error)[0]
    if isinstance(first, TriojobError):
        return first if name in str(first) else own_error(first, name)
    failure = ProtocolError(f"{name}: the connection to the server raised {short_repr(first)}")
    failure.__cause__ = None if holds_secret(error) else error
    return failure


def own_error(error: TriojobError, name: str) -> TriojobError:
    """Return a copy of an error for one call: raising one in several tasks mixes tracebacks."""
    own = copy.copy(error)
    own.args = (f"{name}: {error}",)
    own.__cause__ = error
    return own


class contained:  # noqa: N801 - it is used as a function
    """Call ``fail`` with the `call_failure` of whatever `Exception` the body raises.

    Anything other than an `Exception`, such as a cancellation, propagates; a group that holds both
    is split.

    This is a class and not a generator because each call needs several.
    """

    __slots__ = ("_fail", "_name")

    def __init__(self, fail: Callable[[TriojobError], object], name: str) -> None:
        self._fail = fail
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> bool:
        if exc is None:
            return False
        failures, passing = split(exc, Exception)
        if failures:
            self._fail(call_failure(cast("Exception", failures.pop()), self._name))
        if passing and passing[0] is exc:
            return False
        raise_first(passing)
        return True
