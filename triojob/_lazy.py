"""Properties that are computed once, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy_property(Generic[T]):  # noqa: N801 - it is used like `property`
    """A property that is computed once; threads that read it at the same time can compute it twice.

    `functools.cached_property` holds a lock while it computes, until Python 3.12: one lock for all
    objects of a class.  A process that is forked at that moment inherits a lock that stays locked.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy_property[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> lazy_property[T] | T:
        if instance is None:
            return self
        # From now on Python finds the value in the instance, and does not call this method.
        value: T = instance.__dict__.setdefault(self._name, self._compute(instance))
        return value
