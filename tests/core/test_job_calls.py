"""Calls that raise instead of telling their end, as one of an endpoint does if an upload fails."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from traceback import extract_tb
from typing import Any

import pytest
import trio
from outcome import Outcome

from tests.support.jobs import Boom
from triojob import JobGroup
from triojob._core.call import Batch, Call, Submittable
from triojob._core.runner import JobRunner


class Refusing(Submittable, Call):
    """Something to submit, which fails before there is anything to receive."""

    name = "refusing"

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        return self

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        await self.upload()
        raise AssertionError("not reached")

    async def upload(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Boom("no such file")


async def test_calls_exception_is_its_failure() -> None:
    async with JobGroup() as group:
        job = group.submit(Refusing())
        await job.wait()
        assert job.status().success is False
        with pytest.raises(Boom, match="no such file") as caught:
            await job.result()
        assert job.exception() is caught.value
    # Nothing of ours comes before the call's own code.
    assert [frame.name for frame in extract_tb(caught.value.__traceback__)] == ["run", "upload"]


@pytest.mark.usefixtures("no_collector")
async def test_a_job_whose_call_raised_dies() -> None:
    async def run() -> weakref.ref[Any]:
        with pytest.RaisesGroup(Boom):
            async with JobGroup() as group:
                job = group.submit(Refusing())
                reference = weakref.ref(job)
                del job
        return reference

    reference = await run()
    await trio.lowlevel.checkpoint()
    assert reference() is None
