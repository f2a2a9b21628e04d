"""What a server may try with files: each test has a server that tries it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.servers.faults import Answer, Split
from tests.servers.scripted import Event, ScriptedServer, open_server
from tests.support.files import META, everything_in, file_data, opened, serve_files
from triojob import Client, File, FileTooLarge, Limits, ProtocolError, UnexpectedResponse
from triojob.testing.components import json_value

PATH = "/srv/tmp/abc/data.bin"
SECRET = {"x-secret": "token"}


@pytest.fixture
def app(memory_app: ScriptedServer) -> ScriptedServer:
    memory_app.files[PATH] = b"content"
    return memory_app


def hosts(server: ScriptedServer) -> set[str]:
    return {host for host, _ in server.network.connects}


# --- 1. Names ---


@pytest.mark.parametrize(
    "path, orig_name",
    [
        ("/srv/../../../etc/passwd", None),
        ("/srv/x", "../../../../evil.txt"),
        ("/srv/x", "..\\..\\evil.txt"),
        ("/srv/x", "/etc/evil.txt"),
        ("/srv/x", "C:\\evil.txt"),
        ("/srv/x", "C:evil.txt"),
        ("/srv/x", "evil.txt:stream"),
        ("/srv/x", ".."),
        ("/srv/x", "."),
        ("/srv/x", ""),
        ("/srv/x", "a\x00b.txt"),
        ("/srv/x", "a\nb.txt"),
        ("/srv/x", "\udc80.txt"),
        ("/srv/x", "NUL"),
        ("/srv/x", "con.txt"),
        ("/srv/x", ".bashrc"),
        ("/srv/x", "evil.exe. . "),
        ("/srv/x", "n" * 5000 + ".txt"),
        ("/srv/..", ".."),
        ("..\\..\\evil", None),
    ],
)
@pytest.mark.sse_v3
async def test_no_name_leaves_the_folder(app, tmp_path, autojump_clock, path, orig_name):
    app.files[path] = b"content"
    app.storage.headers[path] = {"content-disposition": 'attachment; filename="../../evil"'}

    @app.app.endpoint(outputs=[json_value("out")])
    async def give(event: Event) -> None:
        # Half a character can't be sent, but it can be written as an escape.
        name = "null" if orig_name is None else ascii_json(orig_name)
        data = ascii_json(file_data(path)).replace('"orig_name": "x"', f'"orig_name": {name}')
        message = f'{{"msg":"process_completed","event_id":"{event.event_id}","success":true,'
        await event.raw(
            f'data: {message}"output":{{"data":[{data}]}}}}\n\n'.encode()
            + b'data: {"msg":"close_stream"}\n\n'
        )
        event.never_complete()

    parent = tmp_path / "parent"
    async with opened(app, download_files=parent / "files") as client:
        local = Path(await client.predict(api_name="/give"))
    assert local.read_bytes() == b"content"
    assert local.resolve().is_relative_to((parent / "files").resolve())
    [folder] = (parent / "files").iterdir()
    assert local.parent.parent == folder
    assert len(everything_in(parent)) == 4


def ascii_json(value: Any) -> str:
    import json

    return json.dumps(value)


async def test_nothing_is_overwritten_or_written_through_link(app, tmp_path, autojump_clock):
    serve_files(app, file_data(PATH))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.bin").symlink_to(victim)
    async with opened(app, download_files=False) as client:
        file = await client.predict(api_name="/give")
        with pytest.raises(FileExistsError):
            await file.save(tmp_path / "folder")
    assert victim.read_text() == "mine"
    assert everything_in(tmp_path) == ["folder", "folder/data.bin", "victim"]


# --- 2. Other servers, and credentials ---


@pytest.mark.parametrize("url_key", ["url", "path"])
@pytest.mark.parametrize(
    "other",
    [
        "http://evil.test/file",
        "https://scripted.test/file",
        "http://scripted.test:8080/file",
        "http://user:word@scripted.test/file",
        "http://scripted.test@evil.test/file",
        "HTTP://EVIL.test/file",
        "http://[bad/file",
        "http://xn--/file",
        "http://evil.test:99999999/file",
    ],
)
async def test_another_server_gets_no_request_at_all(app, tmp_path, autojump_clock, other, url_key):
    async with open_server(memory=True) as evil:
        app.network.add("evil.test", evil.listener)
        # Refused by the app itself, so that another address would be tempting.
        value = file_data("/srv/missing")
        value[url_key] = other
        serve_files(app, value)
        async with opened(app, download_files=tmp_path, headers=SECRET) as client:
            if url_key == "path":
                # What lies elsewhere is not fetched: its address stands in its place.
                assert await client.predict(api_name="/give") == other
            else:
                with pytest.raises(UnexpectedResponse, match="403"):
                    await client.predict(api_name="/give")
        assert evil.requests == []
    assert {port for _, port in app.network.connects} == {80}
    assert hosts(app) == {"scripted.test"}


async def test_foreign_handle_is_never_requested(app, tmp_path, autojump_clock):
    elsewhere = "http://evil.test/x.bin"
    stream = file_data("http://evil.test/playlist.m3u8", is_stream=True)
    serve_files(app, file_data(elsewhere), stream)
    async with opened(app, download_files=False) as client:
        file, stream_file = await client.predict(api_name="/give")
        assert file.url == elsewhere
        with pytest.raises(UnexpectedResponse, match="another server"):
            await file.save(tmp_path)
        with pytest.raises(UnexpectedResponse, match="another server"):
            file.open()
        with pytest.raises(UnexpectedResponse, match="another server"):
            stream_file.segments()
    assert hosts(app) == {"scripted.test"}


async def test_apps_own_url_is_used_for_paths(app, tmp_path, autojump_clock):
    url = f"{app.url}/gradio_api/file={PATH}"
    serve_files(app, file_data("/proxied", url=url))
    async with opened(app, download_files=tmp_path) as client:
        assert Path(await client.predict(api_name="/give")).read_bytes() == b"content"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(app, tmp_path, autojump_clock, status):
    async with open_server(memory=True) as evil:
        app.network.add("evil.test", evil.listener)
        serve_files(app, file_data(PATH))
        away = Answer(status, b"", {"location": "http://evil.test/file?token=x"})
        app.fault("GET", f"/file={PATH}", away)
        async with opened(app, download_files=tmp_path, headers=SECRET) as client:
            with pytest.raises(UnexpectedResponse, match="redirects") as caught:
                await client.predict(api_name="/give")
            assert "token" not in str(caught.value)
        assert evil.requests == []
    assert everything_in(tmp_path) == []


async def test_path_can_not_climb_out_of_route(app, tmp_path, autojump_clock):
    for path in (
        "/../../../login",
        "..",
        "../config?x=1#y",
        "/a/%2e%2e/b",
        "/sp ace/ü",
        "C:\\x\\y",
    ):
        app.files[path] = b"content"
        serve_files(app, file_data(path), name=f"give{len(app.files)}")
    async with opened(app, download_files=tmp_path) as client:
        for number in range(2, len(app.files) + 1):
            local = await client.predict(api_name=f"/give{number}")
            assert Path(local).read_bytes() == b"content"
    got = [r.target for r in app.requests if r.method == "GET" and "file" in r.target]
    assert all(target.startswith("/gradio_api/file=") for target in got)
    assert len(got) == 6


# --- 3. What only looks like a file ---


async def test_ordinary_data_with_path_is_no_file(app, tmp_path, autojump_clock):
    value = {"path": PATH, "is_stream": True, "url": "http://evil.test/x", "size": 3}
    serve_files(app, value, {"path": "/etc/passwd", "meta": {"_type": "other"}})
    async with opened(app, download_files=tmp_path) as client:
        first, second = await client.predict(api_name="/give")
    assert first == value
    assert second["path"] == "/etc/passwd"
    assert not [path for path in app.paths() if "file=" in path]


@pytest.mark.sse_v3
async def test_deeply_nested_output_is_harmless(app, tmp_path, autojump_clock):
    @app.app.endpoint(outputs=[json_value("out")], generator=True)
    async def deep(event: Event) -> None:
        await event.generating([[]])
        path: list[int] = []
        for _ in range(6):
            # Each edit nests by 41 more.
            inner: Any = []
            for _ in range(40):
                inner = [inner]
            await event.generating_raw([[["add", [*path, 0], inner]]])
            path += [0] * 41
        await event.generating_raw([[["add", [*path, 0], file_data(PATH)]]])
        # And this one by too much.
        await event.generating_raw([[["replace", [*path, 0], inner]]])
        await event.completed([file_data(PATH)])

    async with opened(app, download_files=tmp_path) as client:
        job = client.submit(api_name="/deep")
        assert Path(await job.result()).read_bytes() == b"content"
        value = job.outputs()[-2]
        while isinstance(value, list):
            value = value[0]
        assert Path(value).read_bytes() == b"content"


# --- 4. Local files: see test_inputs.py ---


async def test_outputs_never_read_local_files(app, tmp_path, autojump_clock):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    app.app.add("echo", inputs=[json_value("value")], outputs=[json_value("out")])
    async with opened(app, download_files=False) as client:
        value = {"path": str(secret), "meta": META}
        file = await client.predict(value, api_name="/echo")
        assert isinstance(file, File)
        # Nor can a handle be sent back, as if it were a file of ours.
        with pytest.raises(TypeError, match="File"):
            client.submit(file, api_name="/echo")
    assert "POST /upload" not in app.paths()


# --- 5. Too much ---


async def test_a_download_is_bounded_by_what_comes(app, tmp_path, autojump_clock):
    app.files[PATH] = b"x" * 100_001
    serve_files(app, file_data(PATH, size=3))
    app.fault("GET", f"/file={PATH}", Split(5000))
    async with opened(app, download_files=tmp_path, limits=Limits(download_size=100_000)) as client:
        with pytest.raises(FileTooLarge, match=r"more than 100000 bytes.*download_size"):
            await client.predict(api_name="/give")
        app.files[PATH] = b"x" * 100_000
        assert Path(await client.predict(api_name="/give")).stat().st_size == 100_000
    assert len([name for name in everything_in(tmp_path) if name.endswith(".bin")]) == 1


async def test_all_files_of_call_are_bounded_together(app, tmp_path, autojump_clock):
    values = [file_data(f"/srv/{number}.bin") for number in range(5)]
    for value in values:
        app.files[value["path"]] = b"x" * 400
    serve_files(app, *values)
    async with opened(app, download_files=tmp_path, limits=Limits(download_size=1999)) as client:
        with pytest.raises(FileTooLarge):
            await client.predict(api_name="/give")
    assert everything_in(tmp_path) == []
    async with opened(app, download_files=tmp_path, limits=Limits(download_size=2000)) as client:
        assert len(await client.predict(api_name="/give")) == 5


async def test_length_that_is_lie_is_not_believed(app, tmp_path, autojump_clock):
    serve_files(app, file_data(PATH, size=10**15))
    async with opened(app, download_files=tmp_path) as client:
        # The server's word on the size of the file changes nothing.
        assert Path(await client.predict(api_name="/give")).read_bytes() == b"content"


@pytest.mark.parametrize("encoding", ["gzip", "br", "bomb"])
async def test_compression_that_nobody_asked_for_is_refused(
    app, tmp_path, autojump_clock, encoding
):
    app.storage.headers[PATH] = {"content-encoding": encoding}
    serve_files(app, file_data(PATH))
    async with opened(app, download_files=tmp_path) as client:
        with pytest.raises(UnexpectedResponse, match=f"{encoding}.*not requested"):
            await client.predict(api_name="/give")
    asked = [r.headers["accept-encoding"] for r in app.requests if r.path.startswith("/file=")]
    assert asked == ["identity"]
    assert everything_in(tmp_path) == []


async def test_unrequested_range_is_refused(app, tmp_path, autojump_clock):
    serve_files(app, file_data(PATH))
    app.fault("GET", f"/file={PATH}", Answer(206, b"tent", {"content-range": "bytes 3-6/7"}))
    async with opened(app, download_files=tmp_path) as client:
        with pytest.raises(UnexpectedResponse, match="206"):
            await client.predict(api_name="/give")


async def test_endless_answer_to_upload_is_bounded(app, autojump_clock):
    from triojob import handle_file

    app.app.add("take", inputs=[json_value("value")])
    app.fault("POST", "/upload", Answer(200, b"[" + b" " * 100_000))
    async with Client(
        app.url, transport=app.transport(), limits=Limits(message_size=50_000)
    ) as client:
        with pytest.raises(ProtocolError, match="message_size"):
            await client.predict(handle_file(b"x"), api_name="/take")
