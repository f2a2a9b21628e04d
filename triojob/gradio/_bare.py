"""Hiding the nurseries inside a context manager."""

from __future__ import annotations

from types import TracebackType

from .._errors import parts


class BareBody:
    """Hides the nurseries of a context manager: lets the exception of its body through bare.

    Args:
        nurseries: How many nurseries there are around the job group.
    """

    def __init__(self, *, nurseries: int = 0) -> None:
        self._nurseries = nurseries
        self._raised: BaseException | None = None

    def watched(self) -> Watched:
        return Watched(self)

    def __enter__(self) -> BareBody:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        bare, self._raised = self._raised, None
        inner = exc
        while inner is not None and inner is not bare and len(inside := parts(inner)) == 1:
            inner = inside[0]
        if bare is None or inner is not bare:
            # The jobs' failures, in the group of the job group.
            inner = exc
            for _ in range(self._nurseries):
                if inner is not None and len(inside := parts(inner)) == 1 and parts(inside[0]):
                    inner = inside[0]
        if inner is None or inner is exc:
            return
        context = inner.__context__
        try:
            raise inner
        finally:
            # Python has just noted the group that was being handled, which is of no interest.
            inner.__context__ = context
            # The traceback holds this frame, which must not hold the exception.
            del bare, inner, exc, context


class Watched:
    """The body whose exception `BareBody` lets through."""

    def __init__(self, outer: BareBody) -> None:
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
