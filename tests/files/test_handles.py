"""`File`: what outputs hold with `download_files=False`."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio

from tests.servers.faults import Cut, Stall
from tests.servers.scripted import Event, ScriptedServer
from tests.support.files import everything_in, file_data, opened, serve_files
from triojob import ClientClosed, ConnectionLost, File, FileTooLarge, Limits, UnexpectedResponse
from triojob.gradio.http.files import Download
from triojob.testing.components import json_value

PATH = "/srv/tmp/abc/da ta.bin"
QUOTED = "/file=/srv/tmp/abc/da%20ta.bin"
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    memory_app.files[PATH] = CONTENT
    serve_files(memory_app, file_data(PATH, size=256_000, mime_type="application/x"))
    return memory_app


def gets(server: ScriptedServer) -> list[str]:
    return [path for path in server.paths() if "/file=" in path]


async def test_handle_tells_of_file_and_fetches_nothing(app, autojump_clock):
    async with opened(app, download_files=False) as client:
        job = client.submit(api_name="/give")
        file = await job.result()
        assert isinstance(file, File)
        assert job.outputs() == [file]
        assert (file.name, file.size, file.mime_type) == ("da ta.bin", 256_000, "application/x")
        assert file.path == PATH
        assert file.url == f"{app.url}/gradio_api{QUOTED}"
        assert not file.is_stream
        assert repr(file) == "<File 'da ta.bin' 256000 bytes>"
        assert gets(app) == []


async def test_save_into_folder_and_to_path(app, tmp_path, autojump_clock):
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        assert await file.save(tmp_path) == tmp_path / "da ta.bin"
        with pytest.raises(FileExistsError):
            await file.save(str(tmp_path))
        other = tmp_path / "other.bin"
        other.write_bytes(b"old")
        assert await file.save(other) == other
        assert other.read_bytes() == CONTENT
        with pytest.raises(FileNotFoundError):
            await file.save(tmp_path / "missing" / "x.bin")
    assert everything_in(tmp_path) == ["da ta.bin", "other.bin"]
    assert (tmp_path / "da ta.bin").read_bytes() == CONTENT


async def test_save_that_fails_leaves_what_was_there(app, tmp_path, autojump_clock):
    old = tmp_path / "old.bin"
    old.write_bytes(b"old")
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        app.fault("GET", QUOTED, Cut(1000), times=4)
        with pytest.raises(ConnectionLost):
            await file.save(old)
        app.fault("GET", QUOTED, Stall(1000), times=1)
        with trio.move_on_after(5) as scope:
            await file.save(old)
        assert scope.cancelled_caught
        assert everything_in(tmp_path) == ["old.bin"]
        assert old.read_bytes() == b"old"
        # Broken once, it is taken up again.
        app.fault("GET", QUOTED, Cut(1000), times=1)
        await file.save(old)
    assert old.read_bytes() == CONTENT


async def test_reading_without_saving(app, autojump_clock):
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        async with file.open() as stream:
            assert b"".join([chunk async for chunk in stream]) == CONTENT
        async with file.open() as stream:
            assert await stream.receive_some(3) == CONTENT[:3]
            rest = b""
            while chunk := await stream.receive_some():
                rest += chunk
            assert rest == CONTENT[3:]
            assert await stream.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()


class CountedBytes(bytes):
    """Counts the bytes that are copied out of it and out of what was."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        result = CountedBytes(super().__getitem__(key))
        CountedBytes.copied += len(result)
        return result


@pytest.mark.parametrize("size", [10_000, 20_000])
async def test_small_reads_copy_each_byte_once(app, size, monkeypatch):
    async def receive(_download: Download) -> bytes:
        return CountedBytes(size)

    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        async with file.open() as stream:
            monkeypatch.setattr(Download, "receive", receive)
            CountedBytes.copied = 0
            for _ in range(size):
                assert await stream.receive_some(1) == b"\0"
            monkeypatch.undo()
    assert CountedBytes.copied <= size


async def test_leaving_open_file_early_frees_its_place(app, autojump_clock):
    app.files[PATH] = CONTENT * 100
    async with opened(app, download_files=False, limits=Limits(transfers=1)) as client:
        file = await client.predict(api_name="/give")
        for _ in range(5):
            async with file.open() as stream:
                await stream.receive_some(1)
        with pytest.raises(KeyError):
            async with file.open() as stream:
                await stream.receive_some(1)
                raise KeyError
        app.fault("GET", QUOTED, Stall(10))
        with trio.move_on_after(1) as scope:
            async with file.open() as stream:
                async for _ in stream:
                    pass
        assert scope.cancelled_caught
        app.clear_faults()
        async with file.open() as stream:
            assert sum([len(chunk) async for chunk in stream]) == len(CONTENT) * 100


async def test_broken_stream_says_so_and_ends(app, autojump_clock):
    app.fault("GET", QUOTED, Cut(1000), times=1)
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        async with file.open() as stream:
            with pytest.raises(ConnectionLost):
                async for _ in stream:
                    pass
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()


async def test_what_is_read_is_bounded(app, tmp_path, autojump_clock):
    async with opened(app, download_files=False, limits=Limits(download_size=1000)) as client:
        file = await client.predict(api_name="/give")
        with pytest.raises(FileTooLarge):
            await file.save(tmp_path)
        async with file.open() as stream:
            with pytest.raises(FileTooLarge):
                async for _ in stream:
                    pass


async def test_refusals_are_raised_at_the_request(app, tmp_path, autojump_clock):
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        del app.files[PATH]
        with pytest.raises(UnexpectedResponse, match="403"):
            await file.save(tmp_path)
        with pytest.raises(UnexpectedResponse, match="403"):
            async with file.open():
                pass
    with pytest.raises(ClientClosed):
        await file.save(tmp_path)
    with pytest.raises(ClientClosed):
        async with file.open():
            pass
    assert everything_in(tmp_path) == []


async def test_ending_client_ends_transfers(app, tmp_path, autojump_clock):
    app.fault("GET", QUOTED, Stall(1000))
    async with trio.open_nursery() as nursery:

        async def save() -> None:
            with pytest.raises(ClientClosed):
                await file.save(tmp_path)

        async with opened(app, download_files=False) as client:
            file: File = await client.predict(api_name="/give")
            nursery.start_soon(save)
            while not gets(app):  # noqa: ASYNC110 - the server has no way to tell
                await trio.sleep(0.01)
    assert everything_in(tmp_path) == []


async def test_handles_follow_edits_of_outputs(memory_app, tmp_path, autojump_clock):
    for name in "abc":
        memory_app.files[f"/srv/{name}"] = name.encode()

    @memory_app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def frames(event: Event) -> None:
        for name in "abc":
            await event.generating([{"image": file_data(f"/srv/{name}"), "n": name}])

    async with opened(memory_app, download_files=False) as client:
        job = client.submit(api_name="/frames")
        shown = [output async for output in job]
        assert [output["image"].path for output in shown] == ["/srv/a", "/srv/b", "/srv/c"]
        assert gets(memory_app) == []


# --- Streams ---

FOLDER = "session/1/7"
HEAD = "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:1\n"


def playlist(*segments: str, ended: bool = False) -> bytes:
    lines = "".join(f"#EXTINF:1.000,\n{segment}\n" for segment in segments)
    return (HEAD + lines + ("#EXT-X-ENDLIST\n" if ended else "")).encode()


@pytest.fixture
def radio(memory_app: ScriptedServer) -> ScriptedServer:
    memory_app.storage.media = {
        f"{FOLDER}/playlist.m3u8": playlist(),
        f"{FOLDER}/a.aac": b"one",
        f"{FOLDER}/b.aac": b"two",
        f"{FOLDER}/c.aac": b"three",
        f"{FOLDER}/playlist-file": b"onetwothree",
    }
    value = file_data(f"{FOLDER}/playlist.m3u8", is_stream=True, orig_name="sound.mp3")
    serve_files(memory_app, value)
    return memory_app


@pytest.mark.parametrize("download_files", [True, False])
async def test_a_stream_is_followed_to_its_end(
    radio: ScriptedServer, autojump_clock: trio.testing.MockClock, *, download_files: bool
) -> None:
    async def play() -> None:
        for ready in (("a.aac",), ("a.aac", "b.aac"), ("a.aac", "b.aac")):
            await trio.sleep(3)
            radio.storage.media[f"{FOLDER}/playlist.m3u8"] = playlist(*ready)
        await trio.sleep(3)
        radio.storage.media[f"{FOLDER}/playlist.m3u8"] = playlist(
            "a.aac", "b.aac", "c.aac", ended=True
        )

    async with opened(radio, download_files=download_files) as client:
        file = await client.predict(api_name="/give")
        assert file.is_stream
        assert repr(file) == "<File 'sound.mp3' stream>"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play)
            assert [part async for part in file.segments()] == [b"one", b"two", b"three"]
        # Whoever comes late starts from the first.
        async for part in file.segments():
            assert part == b"one"
            break
        with contextlib.suppress(StopAsyncIteration):
            await anext(file.segments())


async def test_saving_stream_joins_all_parts(radio, tmp_path, autojump_clock):
    async with opened(radio) as client:
        file = await client.predict(api_name="/give")
        saved = await file.save(tmp_path)
        async with file.open() as stream:
            assert b"".join([chunk async for chunk in stream]) == b"onetwothree"
    assert saved == tmp_path / "sound.mp3"
    assert saved.read_bytes() == b"onetwothree"


async def test_following_can_be_cancelled_with_client(radio, autojump_clock):
    async with opened(radio) as client:
        file = await client.predict(api_name="/give")
        with trio.move_on_after(10) as scope:
            async for _ in file.segments():
                pass
        assert scope.cancelled_caught
    with pytest.raises(ClientClosed):
        await anext(file.segments())


@pytest.mark.parametrize(
    "segment",
    [
        "../../../config",
        "http://evil.test/x.aac",
        "/config",
        "a/b.aac",
        "..",
        ".x",
        "x?y=1",
        "a\\b",
    ],
)
async def test_playlist_names_only_what_lies_beside_it(radio, autojump_clock, segment):
    radio.storage.media[f"{FOLDER}/playlist.m3u8"] = playlist("a.aac", segment, ended=True)
    async with opened(radio) as client:
        file = await client.predict(api_name="/give")
        with pytest.raises(ValueError, match="segment outside its folder"):
            await anext(file.segments())
    assert {host for host, _ in radio.network.connects} == {"scripted.test"}


async def test_what_is_no_playlist_is_refused(radio, autojump_clock):
    async with opened(radio) as client:
        file = await client.predict(api_name="/give")
        radio.storage.media[f"{FOLDER}/playlist.m3u8"] = b"<html>"
        with pytest.raises(ValueError, match="not the playlist"):
            await anext(file.segments())
        radio.storage.media.clear()
        with pytest.raises(UnexpectedResponse, match="404"):
            await anext(file.segments())


async def test_only_streams_of_parts_are_followed(app, autojump_clock):
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        with pytest.raises(TypeError, match="not a stream"):
            file.segments()


async def test_gradio_4_stream_is_followed(memory_app, autojump_clock):
    memory_app.storage.media["session/1/7"] = b"sound"
    serve_files(memory_app, file_data("session/1/7", is_stream=True))
    async with opened(memory_app) as client:
        file = await client.predict(api_name="/give")
        with pytest.raises(TypeError):
            file.segments()
        async with file.open() as stream:
            assert [chunk async for chunk in stream] == [b"sound"]
