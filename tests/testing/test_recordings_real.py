"""Recordings of real apps: what is played is what the app did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.hanging import SECONDS
from tests.testing.test_recordings import played, run
from tests.testing.test_twins import REAL, SCRIPTS, cancel_while_queued, describe, stream
from tests.testing.twin import make_twin
from triojob import (
    AppError,
    Client,
    Job,
    LogMessage,
    OutputUpdate,
    PropertyUpdate,
    RenderUpdate,
    Status,
    StatusUpdate,
    TriojobError,
    handle_file,
)
from triojob.testing import record

pytestmark = pytest.mark.real

SHORT = (describe, stream, cancel_while_queued)
"""The scripts that the default run records."""


@pytest.mark.parametrize(
    "script",
    [pytest.param(script, marks=() if script in SHORT else pytest.mark.full) for script in SCRIPTS],
    ids=lambda script: script.__name__,
)
def test_recording_of_real_app_plays_same(script, gradio_app, tmp_path):
    url, path = gradio_app(REAL).url, tmp_path / "app.jsonl"

    async def main() -> Any:
        with trio.fail_after(SECONDS):
            async with record(url, path).client() as client:
                return await script(client)

    async def twin() -> Any:
        async with make_twin().client() as client:
            return await script(client)

    seen = trio.run(main)
    assert seen == run(twin)
    assert played(path, script) == seen


CALLS: dict[str, tuple[Any, ...]] = {
    "/greet": ("Ada",),
    "/add": (1, 2.5),
    "/defaults": ("t", 3, "red", "free", False, ["one"], "needed"),
    "/echo": ({"deep": [1, None, {"text": "häß\u2028"}]},),
    "/no_output": ("a",),
    "/update_props": ("a",),
    "/update_props_only": (),
    "/upper_batch": ("a",),
    "/raw_text": (),
    "/odd_json": (),
    "/upper_file": (handle_file(b"text", "small.txt"),),
    "/join_files": ([handle_file(b"a", "a.txt"), handle_file(b"b", "b.txt")],),
    "/labelled": ("a",),
    "/skip_one": ("a",),
    "/between": ("a", "b"),
    "/pictures": (2,),
    "/count": (3, 0),
    "/tokens": (5, 0.01),
    "/lists": (3,),
    "/corrupting_lists": (),
    "/spans": (3,),
    "/chat": ("hello", 3, 0),
    "/two_streams": (3,),
    "/nothing": (),
    "/alternating": (4,),
    "/cached_count": (2, "a"),
    "/progress_tuple": (3,),
    "/progress_nested": (2,),
    "/progress_generator": (2,),
    "/logs": (),
    "/fail": (),
    "/fail_hard": (),
    "/fail_midway": (),
    "/fail_hard_midway": (),
    "/validated": ("", 3),
    "/quiet": ("Ada",),
    "/direct": ("Ada",),
    "/mirror": (handle_file(b"no image", "broken.png"),),
    "/converse": ("hello",),
}


def shown(value: Any) -> Any:
    """Return an output with the names and contents of files in the place of their paths."""
    if isinstance(value, PropertyUpdate):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, str) and value.startswith("/") and Path(value).is_file():
        return Path(value).name, Path(value).read_bytes()
    return value


async def follow(job: Job[Any]) -> tuple[list[Any], Any]:
    """Return each update of a job, and its failure."""
    updates: list[Any] = []
    async for update in job.updates():
        if isinstance(update, OutputUpdate):
            updates.append(shown(update.output))
        elif isinstance(update, StatusUpdate) and update.code is Status.STARTING:
            pass  # the client's own: among others, the progress of uploads, in any order
        elif isinstance(update, StatusUpdate):
            updates.append((update.code, update.rank, update.success, update.progress_data))
        else:
            assert isinstance(update, (LogMessage, RenderUpdate))
            updates.append(update)
    failure = job.exception()
    if isinstance(failure, AppError):
        return updates, (str(failure), failure.title, failure.duration, failure.details)
    assert failure is None or isinstance(failure, TriojobError)
    return updates, repr(failure)


async def call_each(client: Client) -> dict[str, Any]:
    jobs = {name: client.submit(*args, api_name=name) for name, args in CALLS.items()}
    return {name: await follow(job) for name, job in jobs.items()}


@pytest.fixture(scope="module")
def seen(gradio_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Return what each call sees of the app that is recorded, and of the recording."""
    path = tmp_path_factory.mktemp("recordings") / "app.jsonl"

    async def recording() -> Any:
        with trio.fail_after(SECONDS):
            async with record(gradio_url, path).client() as client:
                return await call_each(client)

    return trio.run(recording), played(path, call_each)


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_output_plays_same(seen: tuple[Any, Any], name: str) -> None:
    recorded, again = seen
    assert again[name] == recorded[name]


def test_calls_see_same_as_without_recording(seen: tuple[Any, Any], gradio_url: str) -> None:
    async def direct() -> Any:
        with trio.fail_after(SECONDS):
            async with Client(gradio_url) as client:
                return await call_each(client)

    def without_status(of: Any) -> Any:
        return {
            name: ([update for update in updates if not isinstance(update, tuple)], failure)
            for name, (updates, failure) in of.items()
        }

    assert without_status(seen[0]) == without_status(trio.run(direct))


def test_rendered_functions_and_event_data_play_same(gradio_url: str, tmp_path: Path) -> None:
    async def use(client: Client) -> Any:
        async with client.session() as session:
            job = session.submit(2, api_name="/apply")
            (render,) = [update async for update in job.updates() if type(update) is RenderUpdate]
            numbers = {item["api_name"]: item["id"] for item in render.config["dependencies"]}
            said = await session.predict("hello", fn_index=numbers["say_1"])
        data = {"index": 1, "value": "b"}
        return said, await client.endpoint("/selected").with_event_data(data)("text")

    async def main() -> Any:
        with trio.fail_after(SECONDS):
            async with record(gradio_url, tmp_path / "app.jsonl").client() as client:
                return await use(client)

    seen = trio.run(main)
    assert seen[0] == "1: hello"
    assert played(tmp_path / "app.jsonl", use) == seen
