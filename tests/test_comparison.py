"""What docs/comparison.md says of anyio's TaskHandle and of aioresult, each beside a JobGroup.

Of gradio_client, the tests of qa/differential/differences.py show it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import anyio
import pytest
import trio
from aioresult import ResultCapture, wait_any

from qa.differential.differences import DIFFERENCES
from triojob import JobGroup

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")


def test_page_is_about_versions_that_are_measured():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    package = json.loads((ROOT / "benchmarks/rivals/node/package.json").read_text("utf-8"))
    (python,) = re.findall(r'"gradio_client==(.+)"', project)
    assert f" gradio_client {python}," in PAGE
    assert f" @gradio/client {package['dependencies']['@gradio/client']}," in PAGE


def test_named_differences_are_shown():
    named = re.findall(r"\(`([a-z0-9-]+)`\)", PAGE)
    assert len(named) >= 3
    assert set(named) <= {difference.id for difference in DIFFERENCES}


async def fail() -> None:
    raise ValueError("kaput")


async def wait_for_ever() -> None:
    await trio.sleep_forever()


async def succeed() -> str:
    await trio.sleep(1)
    return "well"


async def test_anyio_failure_ends_its_group(autojump_clock):
    with pytest.RaisesGroup(ValueError):
        async with anyio.create_task_group() as group:
            other = group.create_task(succeed())
            failing = group.create_task(fail())
            with anyio.CancelScope(shield=True):
                await failing.wait()
            assert isinstance(failing.exception, ValueError)
    assert other.status is anyio.TaskHandle.Status.CANCELLED


async def test_triojob_retrieved_failure_ends_nothing(autojump_clock):
    async with JobGroup() as group:
        other = group.submit(succeed)
        failing = group.submit(fail)
        await failing.wait()
        assert isinstance(failing.exception(), ValueError)
    assert await other.result() == "well"


async def test_anyio_failed_task_raises_its_own(autojump_clock):
    with pytest.RaisesGroup(ValueError):
        async with anyio.create_task_group() as group:
            failing = group.create_task(fail())
    with pytest.raises(anyio.TaskFailed) as caught:
        await failing
    assert isinstance(caught.value.__cause__, ValueError)


async def test_with_anyio_one_task_can_be_cancelled(autojump_clock):
    async with anyio.create_task_group() as group:
        unwanted = group.create_task(wait_for_ever())
        wanted = group.create_task(succeed())
        unwanted.cancel()
        assert await wanted == "well"
    with pytest.raises(anyio.TaskCancelled):
        await unwanted


async def test_with_aioresult_failure_ends_nursery_by_default(autojump_clock):
    with pytest.RaisesGroup(ValueError):
        async with trio.open_nursery() as nursery:
            failing = ResultCapture.start_soon(nursery, fail)
            await trio.sleep_forever()
    assert isinstance(failing.exception(), ValueError)


async def test_aioresult_may_lose_suppressed_failures(autojump_clock):
    async with trio.open_nursery() as nursery:
        ResultCapture.start_soon(nursery, fail, suppress_exception=True)


async def test_with_triojob_no_failure_gets_lost(autojump_clock):
    with pytest.RaisesGroup(ValueError):
        async with JobGroup() as group:
            group.submit(fail)


async def test_aioresult_tasks_need_own_scopes(autojump_clock):
    scope = trio.CancelScope()

    async def scoped() -> None:
        with scope:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        unwanted = ResultCapture.start_soon(nursery, scoped)
        wanted = ResultCapture.start_soon(nursery, succeed)
        assert not hasattr(unwanted, "cancel")
        scope.cancel()
        assert await wait_any([wanted]) is wanted
    assert wanted.result() == "well"
