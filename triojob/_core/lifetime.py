"""Context managers that are entered once and hide the nurseries inside them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TypeVar

import trio

from .._exceptions import ClientClosed, direct_exceptions, flatten, raise_first
from .runs import require_task

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


Entered = TypeVar("Entered", bound="SingleUse")


class SingleUse(ABC):
    """An async context manager that wraps `_live` and can be entered only once."""

    _lifetime: AbstractAsyncContextManager[None] | None = None

    @abstractmethod
    def _live(self) -> AbstractAsyncContextManager[None]:
        """Return the context manager to enter and exit."""

    async def __aenter__(self: Entered) -> Entered:  # noqa: PYI019 - not in the typing of 3.10
        if self._lifetime is not None:
            name = type(self).__name__
            raise ClientClosed(f"a {name} can be entered only once; create a new one")
        require_task(f"a {type(self).__name__}")
        self._lifetime = self._live()
        await self._lifetime.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._lifetime is not None
        return await self._lifetime.__aexit__(exc_type, exc, traceback)


class NurseryUnwrapper:
    """Hides the nurseries of a context manager: unwraps the exception of its body.

    Args:
        nurseries: The number of nested nurseries; the innermost belongs to the job group.
    """

    def __init__(self, *, nurseries: int) -> None:
        self._nurseries = nurseries
        self._raised: BaseException | None = None

    def watched(self) -> _UnwrappedBody:
        return _UnwrappedBody(self)

    def __enter__(self) -> NurseryUnwrapper:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        found = [] if exc is None else [self._without_nurseries(exc, self._raised)]
        self._raised = None
        if found and found[0] is not exc:
            del exc  # see raise_first
            raise_first(found)

    def _without_nurseries(self, exc: BaseException, bare: BaseException | None) -> BaseException:
        found, known = flatten(exc), [] if bare is None else flatten(bare)
        # A cancellation that the nurseries here add looks the same as one that was there before.
        others = [end for end in found if not isinstance(end, trio.Cancelled)]
        ours = bare is not None and all(any(end is each for each in known) for end in others)
        if bare is not None and ours and all(any(end is each for each in found) for end in known):
            # The same object, not a copy: Trio's scopes copy groups on the way.
            return bare
        # The failures of jobs stay in the exception group of the job group.
        beside: list[BaseException] = []
        for _ in range(self._nurseries if ours else self._nurseries - 1):
            failed = [part for part in direct_exceptions(exc) if _fails(part)]
            if len(failed) != 1 or not direct_exceptions(failed[0]):
                break
            beside += [part for part in direct_exceptions(exc) if not _fails(part)]
            exc = failed[0]
        if not beside:
            return exc
        joined = BaseExceptionGroup(str(exc.args[0]), [*direct_exceptions(exc), *beside])
        return joined.with_traceback(exc.__traceback__)


def _fails(error: BaseException) -> bool:
    return any(not isinstance(end, trio.Cancelled) for end in flatten(error))


class _UnwrappedBody:
    """The body whose exception `NurseryUnwrapper` unwraps."""

    def __init__(self, outer: NurseryUnwrapper) -> None:
        self._outer = outer

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._outer._raised = exc
