"""`map` whatever the items take: every item once, in order, and never more than the limit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import trio
import trio.testing
from hypothesis import given, settings, strategies as st

import triojob
from tests.support.jobs import BaseExceptionGroup, Boom, leaves

STEPS = st.integers(min_value=0, max_value=3)


@given(
    seconds=st.lists(STEPS, max_size=12),
    bad=st.sets(st.integers(min_value=0, max_value=11), max_size=3),
    limit=st.integers(min_value=1, max_value=5),
    ordered=st.booleans(),
    is_async=st.booleans(),
    mode=st.sampled_from([{"fail_fast": True}, {"fail_fast": False}, {"return_jobs": True}]),
    rate=st.sampled_from([None, 0.5, 2]),
    pauses=st.lists(STEPS, min_size=1, max_size=3),
    leave_after=st.none() | st.integers(min_value=0, max_value=12),
)
@settings(max_examples=300, deadline=None)
def test_items_come_once_ordered_within_limit(
    seconds, bad, limit, ordered, is_async, mode, rate, pauses, leave_after
):
    taken = running = 0
    results: Any = None
    starts: list[float] = []
    called: list[int] = []
    got: list[int] = []
    failed: list[int] = []
    bad = {number for number in bad if number < len(seconds)}

    def items() -> Any:
        nonlocal taken
        for number in range(len(seconds)):
            taken += 1
            assert taken - results._queue.taken <= limit
            yield number

    async def aitems() -> Any:
        for number in items():
            await trio.sleep(pauses[number % len(pauses)])
            yield number

    async def work(number: int) -> int:
        nonlocal running
        called.append(number)
        starts.append(trio.current_time())
        running += 1
        assert running <= limit
        try:
            await trio.sleep(seconds[number])
        finally:
            running -= 1
        if number in bad:
            raise Boom(number)
        return number

    async def main() -> None:
        nonlocal results
        source: Any = (aitems if is_async else items)()
        results = triojob.map(work, source, limit=limit, ordered=ordered, rate=rate, **mode)
        async with results:
            while leave_after is None or len(got) < leave_after:
                try:
                    result = await results.__anext__()
                except StopAsyncIteration:
                    break
                if isinstance(result, tuple):
                    result, job = result
                    if job.exception() is not None:
                        failed.append(result)
                got.append(result)
                await trio.sleep(pauses[len(got) % len(pauses)])

    async def failures() -> list[int]:
        try:
            await main()
        except BaseExceptionGroup as error:
            if error.split(Boom)[1] is not None:
                raise
            return [leaf.args[0] for leaf in leaves(error)]
        return []

    raised = trio.run(failures, clock=trio.testing.MockClock(autojump_threshold=0))

    assert running == 0
    assert len(called) == len(set(called))
    assert len(got) == len(set(got))
    if ordered:
        assert got == sorted(got)
    if rate is not None:
        assert all(late - early >= 1 / rate for early, late in pairwise(starts))
    early = leave_after is not None and len(got) >= leave_after
    if "return_jobs" in mode:
        assert not raised
        assert set(failed) == bad & set(got)
        if not early:
            assert sorted(got) == list(range(len(seconds)))
    elif mode["fail_fast"]:
        assert bool(raised) == (bool(bad) and not early)
        if ordered and raised:
            assert got == list(range(min(bad)))
        if not bad and not early:
            assert sorted(got) == list(range(len(seconds)))
    else:
        assert set(raised) <= bad
        if not early:
            assert set(raised) == bad
            assert sorted(got) == [n for n in range(len(seconds)) if n not in bad]
