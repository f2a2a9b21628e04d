"""Turns whatever one call's data raises into that call's failure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

from .._exceptions import ProtocolError, TriojobError, flatten, raise_first, short_repr, split
from .._secrets import holds_secret


def call_failure(error: Exception, name: str) -> TriojobError:
    """Return what a call fails with when its data caused ``error``.

    Args:
        name: The endpoint, or what else was being done; the message says it.

    Returns:
        An error of ours, out of the group that a nursery made of it; a `ProtocolError` for any
        other, with ``error`` as its cause unless that holds a secret.
    """
    first = flatten(error)[0]
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


class contained:  # noqa: N801 - it is used as a function
    """Call ``fail`` with the `call_failure` of whatever `Exception` the body raises.

    What is not an `Exception`, such as a cancellation, passes through; of a group that has both,
    that part does.

    A class and not a generator, because each call needs several.
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
