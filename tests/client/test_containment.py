"""One call's data is that call's failure: nothing that it causes ends what calls share."""

from __future__ import annotations

import sys

import pytest
import trio
import trio.testing

from triojob import ConnectionLost, ProtocolError, TriojobError
from triojob._core.containment import contained

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


def test_what_is_no_exception_passes_through() -> None:
    failures: list[TriojobError] = []
    for error in (KeyboardInterrupt(), SystemExit(), GeneratorExit()):
        with pytest.raises(type(error)) as caught, contained(failures.append, "/x"):
            raise error
        assert caught.value is error
    assert failures == []


async def test_a_cancellation_beside_a_failure_passes_through() -> None:
    failures: list[TriojobError] = []

    async def fail() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("odd")

    with trio.CancelScope() as scope, contained(failures.append, "/x"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep_forever)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    [failure] = failures
    assert type(failure) is ProtocolError
    assert isinstance(failure.__cause__, ExceptionGroup)


def test_an_interrupt_beside_a_failure_passes_through() -> None:
    failures: list[TriojobError] = []
    both = BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("odd")])
    with pytest.raises(BaseExceptionGroup) as caught, contained(failures.append, "/x"):
        raise both
    assert [type(error) for error in caught.value.exceptions] == [KeyboardInterrupt]
    assert [str(failure) for failure in failures] == [
        "/x: the connection to the server raised ValueError('odd')"
    ]


def test_our_own_errors_keep_their_kind() -> None:
    failures: list[TriojobError] = []
    lost = ConnectionLost("/x: lost")
    for name, error in (("/x", lost), ("/x", ExceptionGroup("", [lost])), ("/y", lost)):
        with contained(failures.append, name):
            raise error
    assert {type(failure) for failure in failures} == {ConnectionLost}
    assert [str(failure) for failure in failures] == ["/x: lost", "/x: lost", "/y: /x: lost"]
