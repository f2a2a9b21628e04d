"""Files of outputs, downloaded before the output that shows them is seen."""

from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.servers.faults import Answer, Cut, Hold, Interim, Lose, Stall
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.files import everything_in, file_data, opened, serve_files
from triojob import (
    AppError,
    ConnectionLost,
    Job,
    JobCancelled,
    Limits,
    OutputUpdate,
    PropertyUpdate,
    Timeouts,
    UnexpectedResponse,
)
from triojob.testing.components import chatbot, file, json_value, state

CONTENT = bytes(range(256)) * 1000
PATH = "/srv/tmp/abc/data.bin"


def downloads(server: ScriptedServer) -> list[str]:
    return [request.path for request in server.requests if request.path.startswith("/file=")]


def ranges(server: ScriptedServer) -> list[str | None]:
    return [
        request.headers.get("range")
        for request in server.requests
        if request.path.startswith("/file=")
    ]


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    memory_app.files[PATH] = CONTENT
    serve_files(memory_app, file_data(PATH))
    return memory_app


async def test_all_readers_see_the_local_path(app, tmp_path, autojump_clock):
    async with opened(app, download_files=tmp_path / "new" / "folder") as client:
        heard: list[Any] = []
        job = client.submit(api_name="/give")
        job.on_output(heard.append)
        async for output in job:
            assert Path(output).read_bytes() == CONTENT
        local = await job.result()
        assert job.outputs() == heard == [local]
        updates = [u.output async for u in job.updates() if isinstance(u, OutputUpdate)]
        assert updates == [local]
        # Only once, however often it is shown.
        assert len(downloads(app)) == 1
    assert isinstance(local, str)
    assert Path(local).name == "data.bin"
    assert Path(local).is_relative_to(tmp_path / "new" / "folder")
    # It stays when the client has ended.
    assert Path(local).read_bytes() == CONTENT
    if sys.platform != "win32":
        assert stat.S_IMODE(Path(local).parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(local).parent.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(local).stat().st_mode) == 0o600


async def test_default_folder_is_temporary(app, tmp_path, monkeypatch, autojump_clock):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with opened(app) as client:
        local = await client.predict(api_name="/give")
    [folder] = tmp_path.iterdir()
    assert folder.name.startswith("triojob-")
    assert Path(local).is_relative_to(folder)


async def test_without_files_there_is_no_folder(memory_app, tmp_path, autojump_clock):
    serve_files(memory_app, "text")
    async with opened(memory_app, download_files=tmp_path / "none") as client:
        await client.predict(api_name="/give")
    assert not (tmp_path / "none").exists()


async def test_files_in_nested_values_are_found(memory_app, tmp_path, autojump_clock):
    for name in ("1", "2", "3"):
        memory_app.files[f"/srv/{name}"] = name.encode()
    gallery = [{"image": file_data("/srv/1"), "caption": "one"}, [file_data("/srv/2"), None]]
    update = {"__type__": "update", "label": "x", "value": file_data("/srv/3")}
    same = {"path": "/not/a/file", "again": file_data("/srv/1")}
    properties = {"__type__": "update", "samples": [[file_data("/srv/3")]]}
    serve_files(memory_app, gallery, update, same, properties)
    async with opened(memory_app, download_files=tmp_path) as client:
        shown, changed, other, samples = await client.predict(api_name="/give")
    assert [Path(shown[0]["image"]).read_bytes(), Path(shown[1][0]).read_bytes()] == [b"1", b"2"]
    assert shown[0]["caption"] == "one"
    assert Path(changed).read_bytes() == b"3"
    assert other == {"path": "/not/a/file", "again": shown[0]["image"]}
    assert isinstance(samples, PropertyUpdate)
    assert samples == {"samples": [[changed]]}
    assert len(downloads(memory_app)) == 3


async def test_files_in_hidden_outputs_are_left_alone(memory_app, tmp_path, autojump_clock):
    @memory_app.app.endpoint(outputs=[json_value("shown"), state()])
    async def hide(event: Event) -> None:
        await event.send(
            {
                "msg": "process_completed",
                "success": True,
                "output": {"data": ["shown", file_data("/srv/hidden")]},
            }
        )
        event.never_complete()

    async with opened(memory_app, download_files=tmp_path) as client:
        assert await client.predict(api_name="/hide") == "shown"
    assert downloads(memory_app) == []


async def test_edits_are_rebuilt_before_finding_files(memory_app, tmp_path, autojump_clock):
    for name in "abc":
        memory_app.files[f"/srv/{name}.png"] = name.encode()

    @memory_app.app.endpoint(outputs=[file("frame"), chatbot("chat")], generator=True)
    async def frames(event: Event) -> None:
        chat: list[Any] = [{"role": "user", "content": "draw"}]
        for name in "abca":
            chat = [
                *chat,
                {"role": "assistant", "content": {"file": file_data(f"/srv/{name}.png")}},
            ]
            # From the second on it goes as edits of single fields.
            await event.generating([file_data(f"/srv/{name}.png"), chat])
        await event.generating([None, chat[:1]])

    async with opened(memory_app, download_files=tmp_path) as client:
        job = client.submit(api_name="/frames")
        shown = [output async for output in job]
        result = await job.result()
    assert [path and Path(path).read_bytes() for path, _ in shown] == [b"a", b"b", b"c", b"a", None]
    chat = shown[3][1]
    contents = [Path(message["content"]["file"]).read_bytes() for message in chat[1:]]
    assert contents == [b"a", b"b", b"c", b"a"]
    assert shown[4][1] == chat[:1]
    # The path that came again was there already.
    assert len(downloads(memory_app)) == 3
    assert result == shown[4]


async def test_slow_download_delays_only_its_job(app, tmp_path, autojump_clock):
    gate = trio.Event()
    app.fault("GET", f"/file={PATH}", Hold(gate))

    @app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def mixed(event: Event) -> None:
        await event.generating(["before"])
        await event.generating([file_data(PATH)])
        await event.generating(["after"])
        raise GradioError("late")

    serve_files(app, "quick", name="quick")
    async with opened(app, download_files=tmp_path) as client:
        job: Job[Any] = client.submit(api_name="/mixed")
        assert await client.predict(api_name="/quick") == "quick"
        await trio.testing.wait_all_tasks_blocked()
        assert job.outputs() == ["before"]
        assert not job.done
        gate.set()
        with pytest.raises(AppError, match="late"):
            await job.result()
        before, path, after = job.outputs()
    assert (before, after) == ("before", "after")
    assert Path(path).read_bytes() == CONTENT


# --- Downloads that break ---


async def test_broken_download_is_resumed(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Cut(100_000), times=1)
    app.fault("GET", f"/file={PATH}", Cut(50_000, reset=True), times=1)
    async with opened(app, download_files=tmp_path) as client:
        local = await client.predict(api_name="/give")
    assert Path(local).read_bytes() == CONTENT
    assert ranges(app) == [None, "bytes=100000-", "bytes=150000-"]


async def test_without_version_broken_download_starts_again(app, tmp_path, autojump_clock):
    app.storage.ranges = False
    app.fault("GET", f"/file={PATH}", Cut(100_000), times=2)
    async with opened(app, download_files=tmp_path) as client:
        local = await client.predict(api_name="/give")
    assert Path(local).read_bytes() == CONTENT
    assert ranges(app) == [None, None, None]


async def test_file_that_changed_meanwhile_is_downloaded_anew(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Cut(100_000), times=1)
    async with opened(app, download_files=tmp_path) as client:
        job = client.submit(api_name="/give")
        while not downloads(app):  # noqa: ASYNC110 - the server has no way to tell
            await trio.sleep(0.01)
        app.files[PATH] = b"new" * 50_000
        assert Path(await job.result()).read_bytes() == b"new" * 50_000


@pytest.mark.parametrize("weak", [True, False])
async def test_ignored_if_range_mixes_no_files(
    app: ScriptedServer, tmp_path: Path, autojump_clock: trio.testing.MockClock, *, weak: bool
) -> None:
    wrong = {"content-range": "bytes 7-9/256000"}
    other = {"content-range": "bytes 100000-255999/256000", "etag": '"other"'}
    app.storage.headers[PATH] = {"etag": 'W/"weak"'} if weak else {}
    app.fault("GET", f"/file={PATH}", Cut(100_000), times=1)
    if not weak:
        app.fault("GET", f"/file={PATH}", Answer(206, b"bad", wrong), times=1)
        app.fault("GET", f"/file={PATH}", Cut(100_000), times=1)
        app.fault("GET", f"/file={PATH}", Answer(206, b"bad", other), times=1)
        app.files[PATH] = CONTENT
    async with opened(app, download_files=tmp_path) as client:
        if weak:
            assert Path(await client.predict(api_name="/give")).read_bytes() == CONTENT
            assert ranges(app) == [None, None]
        else:
            # Four tries, and then it has failed.
            with pytest.raises(ConnectionLost, match="changed"):
                await client.predict(api_name="/give")
            assert ranges(app) == [None, "bytes=100000-", None, "bytes=100000-"]
    assert everything_in(tmp_path) == ([] if not weak else everything_in(tmp_path))


async def test_three_retries_leave_nothing(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Cut(1000))
    async with opened(app, download_files=tmp_path) as client:
        with pytest.raises(ConnectionLost):
            await client.predict(api_name="/give")
        assert len(downloads(app)) == 4
    assert everything_in(tmp_path) == []


async def test_connection_lost_before_bytes_is_retried(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Lose(), times=3)
    async with opened(app, download_files=tmp_path) as client:
        assert Path(await client.predict(api_name="/give")).read_bytes() == CONTENT


async def test_silent_server_is_bounded_by_timeouts(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Stall(1000), times=1)
    async with opened(app, download_files=tmp_path, timeouts=Timeouts(read=7)) as client:
        assert Path(await client.predict(api_name="/give")).read_bytes() == CONTENT
    assert ranges(app) == [None, "bytes=1000-"]


async def test_interim_responses_are_no_file(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Interim(1), times=1)
    async with opened(app, download_files=tmp_path, timeouts=Timeouts(read=7)) as client:
        assert Path(await client.predict(api_name="/give")).read_bytes() == CONTENT
    assert ranges(app) == [None, None]


async def test_withheld_file_fails_its_job(app, tmp_path, autojump_clock):
    del app.files[PATH]
    async with opened(app, download_files=tmp_path) as client:
        with pytest.raises(UnexpectedResponse, match=r"'data.bin' of /give.*403") as caught:
            await client.predict(api_name="/give")
        assert caught.value.status == 403
        assert len(downloads(app)) == 1
    assert everything_in(tmp_path) == []


async def test_impossible_folder_fails_its_job(app, tmp_path, autojump_clock):
    (tmp_path / "taken").write_text("a file")
    async with opened(app, download_files=tmp_path / "taken") as client:
        with pytest.raises(OSError, match="taken"):
            await client.predict(api_name="/give")


# --- Cancelling ---


@pytest.mark.parametrize("whom", ["job", "client"])
async def test_a_cancelled_download_leaves_nothing_behind(app, tmp_path, autojump_clock, whom):
    # One of the two is whole by then, but was never shown.
    app.files["/srv/other.bin"] = b"other"
    serve_files(app, file_data(PATH), file_data("/srv/other.bin"), name="two")
    app.fault("GET", f"/file={PATH}", Stall(100_000))
    with trio.CancelScope() as scope:
        async with opened(app, download_files=tmp_path) as client:
            job = client.submit(api_name="/two")
            while len(everything_in(tmp_path)) < 5:  # noqa: ASYNC110 - files can't be waited for
                await trio.sleep(0.01)
            if whom == "client":
                scope.cancel()
                await trio.sleep_forever()
            job.cancel()
            with pytest.raises(JobCancelled):
                await job.result()
            await trio.testing.wait_all_tasks_blocked()
            assert not [name for name in everything_in(tmp_path) if "/" in name]
            assert client._registry is not None
            assert client._registry.http.transfers.borrowed_tokens == 0
    assert everything_in(tmp_path) == []
    await app.settled()


async def test_cancelled_downloads_lose_no_slot(app, tmp_path, autojump_clock):
    app.fault("GET", f"/file={PATH}", Stall(1000), times=40)
    async with opened(app, download_files=tmp_path, limits=Limits(transfers=2)) as client:
        for _ in range(20):
            jobs = [client.submit(api_name="/give") for _ in range(2)]
            before = len(downloads(app))
            while len(downloads(app)) < before + 2:  # noqa: ASYNC110 - the server can't tell
                await trio.sleep(0.01)
            for job in jobs:
                job.cancel()
            for job in jobs:
                await job.wait()
        assert Path(await client.predict(api_name="/give")).read_bytes() == CONTENT
