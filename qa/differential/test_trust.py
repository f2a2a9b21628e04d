"""The differences in what goes where, both sides of each: files, tokens, arguments, the network.

See differences.py.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import gradio_client
import gradio_client.client
import httpx
import huggingface_hub.utils
import pytest
import trio

import triojob
import triojob.sync
from qa.differential.differences import shows
from qa.differential.support import (
    SECONDS,
    AnyClient,
    Pair,
    ended,
    failure_of,
    opened,
    sides,
    their_client,
)
from qa.differential.test_messages import both
from tests.drivers.peer import SocketPeer
from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer
from tests.support.files import file_data, sent, serve_echo, serve_files

TOKEN = "hf_of_this_test"


def token_seen(client: AnyClient) -> str:
    """Return the token that the app was sent."""
    return str(client.predict("x-hf-authorization", api_name="/header"))


# --- The network ---


@shows("no-telemetry")
def test_telemetry(gradio_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    told = threading.Event()

    def send(*, topic: str, **_: object) -> None:
        sent.append(topic)
        told.set()

    for module in (gradio_client.client, huggingface_hub.utils):
        monkeypatch.setattr(module, "send_telemetry", send)
    triojob.sync.Client(gradio_url, analytics_enabled=True).close()
    assert sent == []
    with their_client(gradio_url, analytics_enabled=True):
        assert told.wait(SECONDS)
    assert sent == ["py_client/initiated"]


@shows("quiet")
def test_what_is_printed_by_default(gradio_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    triojob.sync.Client(gradio_url).close()
    assert capsys.readouterr().out == ""
    client = gradio_client.Client(gradio_url, analytics_enabled=False)
    client._kill_heartbeat.set()
    assert capsys.readouterr().out == f"Loaded as API: {gradio_url}/\n"


@shows("httpx")
def test_exceptions_of_httpx() -> None:
    nowhere = "http://127.0.0.1:9/"
    theirs = failure_of(lambda _: gradio_client.Client(nowhere, verbose=False), None)
    ours = failure_of(lambda _: triojob.sync.Client(nowhere), None)
    assert type(theirs) is httpx.ConnectError
    assert isinstance(ours, httpx.ConnectError)
    assert isinstance(ours, (triojob.ConnectionFailed, ConnectionError))


@shows("timeouts")
async def test_time_for_a_response(scripted, monkeypatch):
    serve_files(scripted, "said", name="say")
    seconds: list[float | None] = []
    handle = httpx.HTTPTransport.handle_request

    def note(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        seconds.append(request.extensions["timeout"]["read"])
        return handle(self, request)

    class Noting(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seconds.append(request.extensions["timeout"]["read"])
            return await super().handle_async_request(request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", note)

    def call() -> list[list[float | None]]:
        with their_client(scripted.url) as client:
            client.predict(api_name="/say")
        theirs = seconds.copy()
        seconds.clear()
        options = {"transport": Noting()}
        with triojob.sync.Client(scripted.url, httpx_kwargs=options) as client:
            client.predict(api_name="/say")
        return [theirs, seconds]

    theirs, ours = await trio.to_thread.run_sync(call)
    # Of the config, the description, and the call; before that, ours asks which app it is.
    assert theirs.count(5) == 3
    assert ours.count(120) == 4


@shows("config-page")
async def test_app_without_a_config(scripted: ScriptedServer) -> None:
    serve_files(scripted, "said", name="say")
    config = json.dumps(scripted.app.config(scripted.url))
    page = f"<script>window.gradio_config = {config};</script>"
    scripted.fault("GET", "/config", Answer(404))
    scripted.fault("GET", "/", Answer(200, page, {"content-type": "text/html"}))

    def call() -> None:
        with their_client(scripted.url) as client:
            assert client.predict(api_name="/say") == "said"
        with pytest.raises(ValueError, match=r"^Could not fetch config for"):
            triojob.sync.Client(scripted.url)

    await trio.to_thread.run_sync(call)


# --- Tokens and logins ---


@shows("cookies")
async def test_cookies_of_caller_and_server(scripted: ScriptedServer) -> None:
    scripted.app.auth = ("ada", "l0velace")
    serve_files(scripted, "said", name="say")
    info = Answer(200, scripted.app.info(), {"set-cookie": "later=1; Path=/"})
    scripted.fault("GET", "/info", info)

    def call(client: AnyClient) -> set[str]:
        client.predict(api_name="/say")
        join = next(r for r in reversed(scripted.requests) if r.path == "/queue/join")
        return set(join.headers["cookie"].split("; "))

    options = {"auth": scripted.app.auth, "httpx_kwargs": {"cookies": {"mine": "1"}}}
    theirs, ours = await both(scripted, call, **options)
    assert theirs.isdisjoint({"mine=1", "later=1"})
    assert ours > {"mine=1", "later=1"}


@shows("saved-token")
def test_token_that_is_saved_on_this_machine(gradio_url, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with opened(gradio_url, tmp_path) as pair:
        assert token_seen(pair.theirs) == f"Bearer {TOKEN}"
        assert token_seen(pair.ours) == "None"


@shows("token-for-url")
def test_token_for_a_plain_url(gradio_url: str) -> None:
    with their_client(gradio_url, token=TOKEN) as client:
        assert token_seen(client) == f"Bearer {TOKEN}"
    with pytest.raises(ValueError, match="is sent only to Spaces") as caught:
        triojob.sync.Client(gradio_url, token=TOKEN)
    assert TOKEN not in str(caught.value)


@shows("needless-login")
def test_login_for_an_app_that_wants_none(gradio_url: str) -> None:
    with (
        pytest.raises(ValueError, match="Could not login"),
        their_client(gradio_url, auth=("ada", "l0velace")),
    ):
        pass
    with triojob.sync.Client(gradio_url, auth=("ada", "l0velace")) as client:
        assert client.predict("x", api_name="/greet") == "Hello x!"


@shows("password-in-url")
def test_password_in_a_url(gradio_url: str) -> None:
    with their_client(gradio_url.replace("://", "://ada:l0velace@")) as client:
        assert client.predict("authorization", api_name="/header").startswith("Basic ")
    with pytest.raises(ValueError, match="user name or password") as caught:
        triojob.sync.Client(gradio_url.replace("://", "://ada:l0velace@"))
    assert "l0velace" not in str(caught.value)


# --- Files ---


@shows("marked-files")
def test_dictionary_that_looks_like_a_file(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("secret")
    forged = json.loads(json.dumps(gradio_client.handle_file(path)))
    theirs = pair.theirs.predict(forged, api_name="/upper_file")
    assert Path(theirs).read_text() == "SECRET"
    # The server is asked for a file of its own, and refuses.
    with pytest.raises(triojob.sync.AppError, match="was not uploaded"):
        pair.ours.predict(forged, api_name="/upper_file")


@shows("real-files")
def test_data_with_a_path(pair: Pair) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        pair.theirs.predict(api_name="/odd_json")
    assert pair.ours.predict(api_name="/odd_json")["path"] == "/not/a/file"


@shows("private-folder")
def test_folder_for_files_by_default(gradio_url, monkeypatch, tmp_path):
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    # A folder of the machine's own, as far as theirs can tell: it was read when it was imported.
    shared = tmp_path / "gradio"
    with their_client(gradio_url, download_files=shared) as client:
        picture = Path(client.predict(1, api_name="/pictures")[0]["image"])
    # It is named by its content, so that anybody can tell who has the same.
    assert picture.parent.parent == shared
    assert stat.S_IMODE(picture.parent.stat().st_mode) & 0o077
    with triojob.sync.Client(gradio_url) as client:
        picture = Path(client.predict(1, api_name="/pictures")[0]["image"])
        assert picture.is_file()
        assert gradio_client.client.DEFAULT_TEMP_DIR not in str(picture)
        if os.name == "posix":
            assert not stat.S_IMODE(picture.parent.stat().st_mode) & 0o077


@shows("file-folders")
async def test_folders_of_files(scripted: ScriptedServer, tmp_path: Path) -> None:
    for folder in "ab":
        scripted.files[f"/srv/{folder}/same.bin"] = b"same"
    serve_files(scripted, file_data("/srv/a/same.bin"), file_data("/srv/b/same.bin"))
    theirs, ours = await both(
        scripted, lambda client: client.predict(api_name="/give"), download_files=tmp_path
    )
    assert theirs[0] == theirs[1]
    assert len({Path(path).parent for path in ours}) == 2
    assert [Path(path).read_bytes() for path in ours] == [b"same", b"same"]


@shows("file-names")
@pytest.mark.parametrize("name", [".bashrc", "con.txt", "a:b.txt"])
async def test_names_of_files(scripted: ScriptedServer, tmp_path: Path, name: str) -> None:
    scripted.files[f"/srv/{name}"] = b"content"
    serve_files(scripted, file_data(f"/srv/{name}", orig_name="another name"))
    theirs, ours = await both(
        scripted, lambda client: client.predict(api_name="/give"), download_files=tmp_path
    )
    assert Path(theirs).name == name
    assert Path(ours).name == {"a:b.txt": "a_b.txt"}.get(name, f"_{name.lstrip('.')}")


async def test_copies_are_named_after_the_servers_own(scripted, tmp_path):
    scripted.files["/srv/kept as.bin"] = b"content"
    serve_files(scripted, file_data("/srv/kept as.bin", orig_name="another name.txt"))
    theirs, ours = await both(
        scripted,
        lambda client: Path(client.predict(api_name="/give")).name,
        download_files=tmp_path,
    )
    assert ours == theirs == "kept as.bin"


@shows("file-elsewhere")
async def test_file_on_another_server(scripted: ScriptedServer, tmp_path: Path) -> None:
    url = "https://elsewhere.test/a.bin"
    scripted.files["/srv/b.bin"] = b"content"
    serve_files(scripted, file_data(url))
    prefix = f"{scripted.url}/gradio_api"
    to = Answer(302, b"", {"location": f"{prefix}/file=/srv/b.bin"})
    scripted.fault("GET", "/file=https%3A", to)
    theirs, ours = await both(
        scripted, lambda client: client.predict(api_name="/give"), download_files=tmp_path
    )
    assert Path(theirs).read_bytes() == b"content"
    assert ours == url


@shows("file-details")
async def test_what_apps_learn_of_a_file(scripted: ScriptedServer, tmp_path: Path) -> None:
    serve_echo(scripted)
    path = tmp_path / "a$b.txt"
    path.write_text("text")

    def call(client: AnyClient) -> Any:
        client.predict(sides(client).handle_file(path), api_name="/echo")
        return dict(sent(scripted)[0])

    theirs, ours = await both(scripted, call)
    more = {"mime_type": "text/plain", "size": 4, "orig_name": "a$b.txt"}
    assert ours == {**theirs, **more}
    assert theirs["orig_name"] == "ab.txt"
    assert theirs.keys() == {"path", "orig_name", "meta"}


@shows("redirects")
async def test_redirects(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.files.update({"/srv/a.bin": b"a", "/srv/b.bin": b"b"})
    serve_files(scripted, file_data("/srv/a.bin"))
    to = Answer(302, b"", {"location": f"{scripted.url}/gradio_api/file=/srv/b.bin"})
    scripted.fault("GET", "/file=/srv/a.bin", to)

    def call(client: AnyClient) -> Any:
        return ended(client.submit(api_name="/give")).exception() or "fetched"

    theirs, ours = await both(scripted, call, download_files=tmp_path)
    assert theirs == "fetched"
    assert isinstance(ours, httpx.HTTPStatusError)
    assert ours.response.status_code == 302
    scripted.clear_faults()

    def follow() -> None:
        options = {"httpx_kwargs": {"follow_redirects": True}, "download_files": tmp_path}
        with their_client(scripted.url, **options) as client:
            assert isinstance(call(client), TypeError)
        with pytest.raises(ValueError, match="follow_redirects=True is not supported"):
            triojob.sync.Client(scripted.url, **options)

    await trio.to_thread.run_sync(follow)


@shows("limits")
async def test_messages_and_files_that_are_large(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.files["/srv/a.bin"] = bytes(200_000)
    serve_files(scripted, file_data("/srv/a.bin"))
    serve_files(scripted, "x" * 200_000, name="say")
    limits = triojob.sync.Limits(message_size=100_000, download_size=100_000)

    def call() -> None:
        options: dict[str, Any] = {"download_files": tmp_path}
        with (
            their_client(scripted.url, **options) as theirs,
            triojob.sync.Client(scripted.url, limits=limits, **options) as bounded,
            triojob.sync.Client(scripted.url, **options) as ours,
        ):
            for client in (theirs, ours):
                assert len(client.predict(api_name="/say")) == 200_000
                assert Path(client.predict(api_name="/give")).stat().st_size == 200_000
            with pytest.raises(triojob.ProtocolError, match=r"Limits\.message_size"):
                bounded.predict(api_name="/say")
            with pytest.raises(triojob.FileTooLarge, match=r"Limits\.download_size"):
                bounded.predict(api_name="/give")

    await trio.to_thread.run_sync(call)


async def test_message_of_more_than_64_mib(scripted: ScriptedServer) -> None:
    # Theirs takes minutes for it.
    text = "x" * (65 * 2**20)
    serve_files(scripted, text, name="say")

    def call() -> str:
        with triojob.sync.Client(scripted.url) as client:
            said: str = client.predict(api_name="/say")
            return said

    assert await trio.to_thread.run_sync(call) == text


FOLDERS = """
import os
import gradio_client, triojob.sync
os.environ["GRADIO_TEMP_DIR"] = os.environ["LATER"]
for module in (gradio_client, triojob.sync):
    client = module.Client({url!r}, verbose=False, analytics_enabled=False)
    print(client.predict(1, api_name="/pictures")[0]["image"])
    client.close()
"""


def test_environment_names_the_folder_at_import(gradio_url: str, tmp_path: Path) -> None:
    folders = {"GRADIO_TEMP_DIR": str(tmp_path / "first"), "LATER": str(tmp_path / "later")}
    done = subprocess.run(
        [sys.executable, "-c", FOLDERS.format(url=gradio_url)],
        env={**os.environ, **folders},
        timeout=SECONDS,
        check=True,
        capture_output=True,
        text=True,
    )
    for path in map(Path, done.stdout.splitlines()):
        assert path.is_relative_to(tmp_path / "first")
        assert path.is_file()


@shows("streamed-media")
def test_sound_that_streams(pair: Pair) -> None:
    theirs, ours = (client.predict(2, 0.01, api_name="/radio") for client in pair)
    assert Path(theirs).name == "playlist.m3u8"
    assert ours["is_stream"] is True
    assert ours["url"].endswith("playlist.m3u8")


# --- Arguments ---


@shows("too-many-arguments")
def test_too_many_arguments(pair: Pair) -> None:
    assert pair.theirs.predict("x", "y", "z", api_name="/greet") == "Hello x!"
    with pytest.raises(TypeError, match="takes 1 arguments, but 3 were given"):
        pair.ours.submit("x", "y", "z", api_name="/greet")


@shows("early-errors")
@pytest.mark.parametrize("value", [object(), b"bytes", {"a": {1, 2}}, float("nan")])
def test_argument_that_is_no_json(pair: Pair, value: object) -> None:
    theirs = ended(pair.theirs.submit(value, api_name="/echo")).exception()
    with pytest.raises((TypeError, ValueError)) as caught:
        pair.ours.submit(value, api_name="/echo")
    assert type(caught.value) is type(theirs)
    assert str(caught.value).endswith(str(theirs))


@shows("early-errors")
@pytest.mark.parametrize("kind", [FileNotFoundError, IsADirectoryError])
def test_file_that_can_not_be_sent(pair: Pair, tmp_path: Path, kind: type[OSError]) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    marks = [sides(client).handle_file(path) for client in pair]
    if kind is FileNotFoundError:
        path.rmdir()
    theirs = ended(pair.theirs.submit(marks[0], api_name="/upper_file")).exception()
    assert type(theirs) is kind
    with pytest.raises(kind) as caught:
        pair.ours.submit(marks[1], api_name="/upper_file")
    assert (caught.value.errno, caught.value.filename) == (theirs.errno, str(path))


@shows("oauth-token")
def test_call_without_the_token_that_it_needs(pair: Pair) -> None:
    theirs = ended(pair.theirs.submit("x", api_name="/act")).exception()
    assert isinstance(theirs, gradio_client.exceptions.AppError)
    with pytest.raises(ValueError, match=r"pass Client\(oauth_token=") as caught:
        pair.ours.submit("x", api_name="/act")
    assert isinstance(caught.value, triojob.sync.AuthenticationError)


@pytest.mark.parametrize("token", [None, "", "hf_of_the_user"])
def test_tokens_for_the_app_to_act_with(gradio_url: str, tmp_path: Path, token: str | None) -> None:
    with opened(gradio_url, tmp_path, oauth_token=token) as pair:
        said = pair.same(lambda client: client.predict("x", api_name="/act_if_allowed"))
        pair.same(lambda client: client.predict("x", api_name="/greet"))
    assert said == ("x with 14 characters up to user" if token else "x without")


@shows("undocumented")
def test_named_arguments_of_an_undocumented_endpoint(pair: Pair) -> None:
    with pytest.raises(ValueError, match="does not support key-word arguments"):
        pair.theirs.predict(name="Ada", api_name="/quiet")
    assert pair.ours.predict(name="Ada", api_name="/quiet") == "Hello Ada!"


@shows("arguments-untouched")
def test_dictionaries_of_the_caller(gradio_url: str) -> None:
    cookies = {"flavour": "oat"}
    options, headers = {"cookies": cookies}, {"x-name": "value"}
    with triojob.sync.Client(gradio_url, httpx_kwargs=options) as client:
        client.predict("x", api_name="/greet", headers=headers)
    assert (options, headers) == ({"cookies": cookies}, {"x-name": "value"})
    with their_client(gradio_url, httpx_kwargs=options) as client:
        client.predict("x", api_name="/greet", headers=headers)
    assert options == {}
    assert headers == {"x-name": "value", "x-gradio-user": "api"}


@shows("gradio-user")
def test_header_that_tells_people_and_programs_apart(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path, headers={"x-gradio-user": "somebody"}) as pair:
        seen = [client.predict("x-gradio-user", api_name="/header") for client in pair]
    assert seen == ["somebody", "api"]


@shows("user-agent")
def test_header_that_names_the_library(pair: Pair) -> None:
    theirs, ours = (client.predict("user-agent", api_name="/header") for client in pair)
    assert theirs.startswith("gradio_client/")
    assert ours == f"triojob/{triojob.__version__}"


@shows("own-sessions")
def test_sessions_of_calls_at_the_same_time(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        for client, most in ((pair.theirs, 1), (pair.ours, 8)):
            jobs = [client.submit(api_name="/who") for _ in range(8)]
            used = {job.result() for job in jobs}
            assert client.session_hash in used
            assert len(used) <= most
        assert len(used) > 1


@shows("session-hash")
def test_session_hash_of_ones_own(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        pair.theirs.session_hash = "mine"
        assert pair.theirs.predict(api_name="/who") == "mine"
        with pytest.raises(AttributeError):
            pair.ours.session_hash = "mine"


@shows("app-version")
def test_kind_of_the_version(pair: Pair) -> None:
    assert pair.ours.app_version == str(pair.theirs.app_version)
    assert isinstance(pair.ours.app_version, str)
    assert pair.theirs.app_version > type(pair.theirs.app_version)("4.0")


@shows("internals")
def test_what_is_inside(pair: Pair) -> None:
    for name in ("endpoints", "headers", "cookies", "httpx_kwargs", "executor", "new_helper"):
        assert hasattr(pair.theirs, name)
        assert not hasattr(pair.ours, name)
    theirs, ours = (client.submit("x", api_name="/greet") for client in pair)
    for name in ("future", "communicator", "cancel_fn"):
        assert hasattr(theirs, name)
        assert not hasattr(ours, name)
    for name in ("get_mimetype", "encode_url_or_file_to_base64", "construct_args"):
        assert hasattr(gradio_client.utils, name)
        assert not hasattr(triojob.sync.utils, name)
    with their_client(pair.theirs.src, _skip_components=False) as client:
        assert client.predict(None, api_name="/bump")[1] == 1
    with pytest.raises(TypeError, match="_skip_components"):
        triojob.sync.Client(pair.ours.src, _skip_components=False)  # type: ignore[call-arg]
    assert theirs.result() == ours.result()


@shows("input-streams")
def test_function_that_takes_a_stream_of_inputs(pair: Pair) -> None:
    theirs = ended(pair.theirs.submit(3, api_name="/running_total")).exception()
    assert isinstance(theirs, KeyError)
    assert pair.ours.predict(3, api_name="/running_total") == 3


@shows("gradio-3")
async def test_app_of_gradio_3(pair: Pair) -> None:
    # As theirs sees such an app: one whose description names no protocol.
    endpoint = next(e for e in pair.theirs.endpoints.values() if e.api_name == "/greet")
    endpoint.protocol, before = "ws", endpoint.protocol
    try:
        with pytest.raises(ValueError, match="Unknown protocol: ws"):
            pair.theirs.submit("x", api_name="/greet")
    finally:
        endpoint.protocol = before

    async def talk(socket: Any) -> None:
        async def say(kind: str, **words: Any) -> None:
            await socket.send_message(json.dumps({"msg": kind, **words}))

        await say("send_hash")
        await socket.get_message()
        await say("estimation", rank=0, queue_size=1, rank_eta=None)
        await say("send_data")
        await socket.get_message()
        await say("process_starts")
        await say("process_generating", output={"data": ["0"]}, success=True)
        await say("process_completed", output={"data": ["1"]}, success=True)

    peer = SocketPeer("3.50.2")
    peer.script = talk

    def call(portal: triojob.sync.Portal) -> list[Any]:
        client = triojob.sync.Client(
            peer.url, portal=portal, httpx_kwargs={"transport": peer, "trust_env": False}
        )
        return list(client.submit(2, api_name="/count"))

    with trio.fail_after(SECONDS):
        async with peer.serving(), triojob.sync.open_portal() as portal:
            assert await trio.to_thread.run_sync(call, portal) == ["0", "1"]
