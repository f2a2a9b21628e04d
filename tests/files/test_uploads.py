"""Files on their way to an app."""

from __future__ import annotations

import io
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.servers.faults import Answer, Cut, Hold, Lose, Silence
from tests.servers.scripted import ScriptedServer
from tests.support.files import META, opened, sent, serve_echo
from triojob import (
    AuthenticationError,
    Client,
    ConnectionLost,
    FileTooLarge,
    Job,
    JobCancelled,
    JobGroup,
    Limits,
    ProgressUnit,
    ProtocolError,
    Retry,
    Status,
    StatusUpdate,
    TooManyRequests,
    UnexpectedResponse,
    handle_file,
)
from triojob.testing._server.http import ServerRequest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lower.txt"
    path.write_bytes(b"abc")
    return path


def uploads(server: ScriptedServer) -> list[ServerRequest]:
    return [request for request in server.requests if request.path == "/upload"]


async def until_uploading(server: ScriptedServer) -> None:
    # Its threads are not on the mock clock, and so can't be waited for by it.
    while not uploads(server):  # noqa: ASYNC110
        await trio.sleep(0.1)


async def statuses(job: Job[Any]) -> list[StatusUpdate]:
    return [update async for update in job.updates() if isinstance(update, StatusUpdate)]


def no_descriptor_of(path: Path) -> bool:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return True
    links = []
    for link in folder.iterdir():
        try:
            links.append(str(link.readlink()))
        except FileNotFoundError:  # the one that listed the folder
            continue
    return str(path) not in links


async def test_path_arrives_as_file_data(memory_app, path, autojump_clock):
    serve_echo(memory_app)
    async with opened(memory_app) as client:
        assert await client.predict(handle_file(path), api_name="/echo") == "ok"
    [[server_path, content]] = memory_app.files.items()
    assert content == b"abc"
    assert server_path.endswith("/lower.txt")
    assert sent(memory_app)[0] == {
        "path": server_path,
        "orig_name": "lower.txt",
        "mime_type": "text/plain",
        "size": 3,
        "meta": META,
    }
    [upload] = uploads(memory_app)
    assert int(upload.headers["content-length"]) == len(upload.body)
    assert memory_app.paths().index("POST /upload") < memory_app.paths().index("POST /queue/join")


async def test_files_may_stand_anywhere_in_the_arguments(memory_app, path, autojump_clock):
    serve_echo(memory_app)
    marked, other = handle_file(path), handle_file(b"xyz", name='odd "name"\n.bin')
    message = {"text": "look", "files": [marked, other], "gallery": [[marked, "caption"], (other,)]}
    async with opened(memory_app) as client:
        await client.predict(marked, message, api_name="/echo")
    first, rest = sent(memory_app)
    # The same object is uploaded once.
    assert len(uploads(memory_app)) == 2
    assert rest == {
        "text": "look",
        "files": [first, rest["files"][1]],
        "gallery": [[first, "caption"], [rest["files"][1]]],
    }
    assert rest["files"][1]["orig_name"] == 'odd "name"\n.bin'
    assert memory_app.files[first["path"]] == b"abc"
    assert memory_app.files[rest["files"][1]["path"]] == b"xyz"


async def test_what_the_caller_changes_later_changes_nothing(memory_app, autojump_clock):
    serve_echo(memory_app)
    files: list[Any] = [handle_file(b"one", name="1.bin")]
    message = {"text": "before", "files": files}
    async with opened(memory_app) as client:
        job = client.submit(None, message, api_name="/echo")
        message["text"] = "after"
        files.append(handle_file(b"two"))
        await job.result()
    assert sent(memory_app)[1]["text"] == "before"
    assert [file["orig_name"] for file in sent(memory_app)[1]["files"]] == ["1.bin"]


async def test_text_like_placeholder_is_left_alone(memory_app, autojump_clock):
    serve_echo(memory_app)
    rest = ["0", "x-0", {"00000000000000000000000000000000-0": '"\\"-0"'}]
    async with opened(memory_app) as client:
        await client.predict(handle_file(b"x"), rest, api_name="/echo")
    assert sent(memory_app)[1] == rest


async def test_url_is_left_for_the_server(memory_app, autojump_clock):
    serve_echo(memory_app)
    url = "https://pictures.example/cat.png?size=2"
    async with opened(memory_app) as client:
        await client.predict(handle_file(url), api_name="/echo")
    assert uploads(memory_app) == []
    [value, _] = sent(memory_app)
    assert (value["path"], value["url"], value["orig_name"]) == (url, url, "cat.png")
    assert value["meta"] == META
    assert [host for host, _ in memory_app.network.connects] == ["scripted.test"] * len(
        memory_app.network.connects
    )


async def test_open_file_is_read_from_position(memory_app, path, autojump_clock):
    serve_echo(memory_app)
    source = io.BytesIO(b"0123456789")
    source.seek(4)
    marked = handle_file(source, name="a.bin")
    async with opened(memory_app) as client, JobGroup() as group:
        with path.open("rb") as opened_file:
            # Several calls at once take turns in reading it.
            for _ in range(3):
                group.submit(client.endpoint("/echo"), marked, handle_file(opened_file))
            await trio.testing.wait_all_tasks_blocked()
            for job in group.jobs:
                await job.wait()
    contents = sorted(set(memory_app.files.values()))
    assert contents == [b"456789", b"abc"]
    assert len(uploads(memory_app)) == 6


class Pipe(io.RawIOBase):
    """What can't seek, such as the output of another process."""

    def __init__(self, chunks: list[bytes]) -> None:
        super().__init__()
        self._chunks = chunks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._chunks.pop(0) if self._chunks else b""
        buffer[: len(chunk)] = chunk
        return len(chunk)


async def test_unseekable_file_is_sent_once(memory_app, autojump_clock):
    serve_echo(memory_app)
    marked = handle_file(Pipe([b"ab", b"cd"]), name="p.bin")  # type: ignore[arg-type]
    async with opened(memory_app) as client:
        job = client.submit(marked, api_name="/echo")
        await job.result()
        assert list(memory_app.files.values()) == [b"abcd"]
        [upload] = uploads(memory_app)
        assert upload.headers["transfer-encoding"] == "chunked"
        units = [update.progress_data for update in await statuses(job) if update.progress_data]
        assert units[0] == [ProgressUnit(0, None, "bytes", None, "p.bin")]
        with pytest.raises(ValueError, match="another call already uses it"):
            client.submit(marked, api_name="/echo")


async def test_progress_is_told_before_call_is_queued(memory_app, autojump_clock):
    serve_echo(memory_app)
    large, small = handle_file(b"x" * 3_000_000, name="l.bin"), handle_file(b"y", name="s.bin")
    async with opened(memory_app) as client:
        job = client.submit(large, [small, handle_file("http://h/u")], api_name="/echo")
        await job.result()
    told = [update for update in await statuses(job) if update.progress_data]
    assert {update.code for update in told} == {Status.STARTING}
    first, last = told[0].progress_data, told[-1].progress_data
    assert first == [
        ProgressUnit(0, 3_000_000, "bytes", None, "l.bin"),
        ProgressUnit(0, 1, "bytes", None, "s.bin"),
    ]
    assert last == [
        ProgressUnit(3_000_000, 3_000_000, "bytes", None, "l.bin"),
        ProgressUnit(1, 1, "bytes", None, "s.bin"),
    ]
    counts = [update.progress_data[0].index or 0 for update in told if update.progress_data]
    assert counts == sorted(counts)
    assert 4 < len(told) <= 110
    # It says nothing of the call itself.
    assert job.status().progress_data == []


@pytest.mark.parametrize(
    "answer, error",
    [
        (Answer(413, "Request Entity Too Large"), FileTooLarge),
        (Answer(401, {"detail": "no"}), AuthenticationError),
        (Answer(429, "slow down"), TooManyRequests),
        (Answer(500, "Internal Server Error"), UnexpectedResponse),
        (Answer(404, {"detail": "Not Found"}), UnexpectedResponse),
        (Answer(302, "", {"location": "http://evil.test/upload"}), UnexpectedResponse),
        (Answer(200, []), ProtocolError),
        (Answer(200, {"files": []}), ProtocolError),
        (Answer(200, [3]), ProtocolError),
        (Answer(200, ["/a", "/b"]), ProtocolError),
        (Answer(200, "<html>"), ProtocolError),
        (Lose(), ConnectionLost),
        (Lose(handled=False, reset=True), ConnectionLost),
        (Cut(1), ConnectionLost),
    ],
)
async def test_failed_upload_queues_nothing(memory_app, path, autojump_clock, answer, error):
    serve_echo(memory_app)
    memory_app.fault("POST", "/upload", answer)
    async with opened(memory_app) as client:
        with pytest.raises(error, match="upload"):
            await client.predict(handle_file(path), api_name="/echo")
        job = client.submit(handle_file(path), api_name="/echo")
        with pytest.raises(error):
            await job.result()
    assert memory_app.joins == []
    assert no_descriptor_of(path)
    # Never to another server, whatever it says.
    assert {host for host, _ in memory_app.network.connects} == {"scripted.test"}


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="needs reference counting")
@pytest.mark.parametrize("retry", [None, Retry(attempts=1)])
@pytest.mark.usefixtures("no_collector")
async def test_a_failed_upload_leaves_no_cycle(memory_app, path, retry):
    serve_echo(memory_app)
    memory_app.fault("POST", "/upload", Answer(413, "large"))
    failures: list[weakref.ref[BaseException]] = []

    async def fail(client: Client) -> None:
        endpoint = client.endpoint("/echo")
        async with JobGroup(retry=retry) as group:
            job = group.submit(endpoint, handle_file(path))
            await job.wait()
            error = job.exception()
            assert isinstance(error, FileTooLarge)
            failures.append(weakref.ref(error))

    async with opened(memory_app) as client:
        for _ in range(3):
            await fail(client)
        await trio.testing.wait_all_tasks_blocked()
        # Trio may still hold the task of the last one.
        assert [failure() for failure in failures[:-1]] == [None, None]


async def test_uploads_run_together_within_limit(memory_app, autojump_clock):
    serve_echo(memory_app)
    gate = trio.Event()
    memory_app.fault("POST", "/upload", Hold(gate))
    files = [handle_file(b"%d" % place, name=f"{place}.bin") for place in range(10)]
    async with opened(memory_app, limits=Limits(transfers=3)) as client:
        job = client.submit(None, files, api_name="/echo")
        await trio.testing.wait_all_tasks_blocked()
        assert len(uploads(memory_app)) == 3
        gate.set()
        await job.result()
    assert [file["orig_name"] for file in sent(memory_app)[1]] == [f"{n}.bin" for n in range(10)]
    assert len(uploads(memory_app)) == 10


async def test_the_first_failure_ends_the_other_uploads(memory_app, autojump_clock):
    serve_echo(memory_app)
    memory_app.fault("POST", "/upload", Silence(), times=1)
    memory_app.fault("POST", "/upload", Answer(413, "large"), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(FileTooLarge):
            await client.predict(None, [handle_file(b"a"), handle_file(b"b")], api_name="/echo")
    await memory_app.settled()
    assert memory_app.joins == []


async def test_cancelled_upload_leaves_nothing_open(memory_app, tmp_path, autojump_clock):
    serve_echo(memory_app)
    memory_app.fault("POST", "/upload", Silence(), times=1)
    path = tmp_path / "big.bin"
    path.write_bytes(b"x" * 5_000_000)
    async with opened(memory_app) as client:
        job = client.submit(handle_file(path), api_name="/echo")
        await trio.testing.wait_all_tasks_blocked()
        await until_uploading(memory_app)
        job.cancel("enough")
        with pytest.raises(JobCancelled, match="enough"):
            await job.result()
        assert no_descriptor_of(path)
        assert memory_app.joins == []
        # All places are free again.
        assert await client.predict(handle_file(b"x"), api_name="/echo") == "ok"


async def test_ending_client_cancels_uploads(memory_app, path, autojump_clock):
    serve_echo(memory_app)
    memory_app.fault("POST", "/upload", Silence())
    async with JobGroup() as group:
        async with opened(memory_app) as client:
            job = group.submit(client.endpoint("/echo"), handle_file(path))
            await until_uploading(memory_app)
        with pytest.raises(JobCancelled, match="closed"):
            await job.result()
    assert no_descriptor_of(path)


async def test_vanishing_or_shrinking_file_fails_job(memory_app, path, autojump_clock):
    serve_echo(memory_app)
    async with opened(memory_app) as client:
        job = client.submit(handle_file(path), api_name="/echo")
        path.unlink()
        with pytest.raises(FileNotFoundError):
            await job.result()

        class Shrinking(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                self.truncate(2)
                return super().read(size)

        with pytest.raises(ValueError, match="became shorter"):
            await client.predict(handle_file(Shrinking(b"abc"), name="s"), api_name="/echo")
    assert memory_app.joins == []


async def test_credentials_go_with_an_upload(memory_app, autojump_clock):
    serve_echo(memory_app)
    memory_app.app.auth = ("user", "word")
    async with Client(
        memory_app.url,
        transport=memory_app.transport(),
        auth=("user", "word"),
        headers={"x-token": "t"},
    ) as client:
        await client.predict(handle_file(b"x"), api_name="/echo")
    [upload] = uploads(memory_app)
    assert upload.headers["x-token"] == "t"
    assert "access-token-unsecure" in upload.headers["cookie"]
