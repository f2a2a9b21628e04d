"""Who gets a token: the hub and the Space's own origin, with each request, and nobody else."""

from __future__ import annotations

import itertools
import logging
import pickle
import traceback

import httpx
import pytest
import trio

from tests.servers.echoing import FORMS, found_in, sent, shown
from tests.servers.faults import Answer, Reply, Silence
from tests.servers.hub import TOKEN, Origins
from tests.servers.scripted import Event
from tests.spaces.support import SPACE, TLSInFront, bearers, client_of
from triojob import (
    AuthenticationError,
    Client,
    ConnectionFailed,
    JobGroup,
    Limits,
    Timeouts,
    TriojobError,
    UnexpectedResponse,
)
from triojob.gradio.http.client import HTTP
from triojob.gradio.protocol.registry import find_protocol
from triojob.gradio.protocol.ws import CallSocket
from triojob.gradio.spaces.tokens import make_token, space_headers
from triojob.testing._server.http import ServerResponse

TO_HUB = {"authorization": f"Bearer {TOKEN}"}
TO_SPACE = {"x-hf-authorization": f"Bearer {TOKEN}"}


async def test_token_goes_to_own_origin_only(origins: Origins, autojump_clock) -> None:
    origins.space.private = True
    origins.space.stages = ["SLEEPING", "BUILDING", "RUNNING"]
    started = trio.Event()

    @origins.host.app.endpoint(inputs=["text"], generator=True)
    async def forever(event: Event) -> None:
        await event.generating(["once"])
        started.set()
        await trio.sleep_forever()

    # Nothing but the token wakes it, and the line's end that a file gives is none of it.
    with trio.fail_after(1000):
        async with client_of(origins, token=TOKEN + "\n") as client:
            assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
            async with JobGroup() as group:
                job = group.submit(client.endpoint("/forever"), "x")
                await started.wait()
                job.cancel()
    paths = origins.host.paths()
    for path in ("GET /", "GET /config", "GET /info", "POST /queue/join", "GET /queue/data"):
        assert path in paths
    assert "POST /cancel" in paths
    assert bearers(origins.host.requests) == [TO_SPACE] * len(paths)
    assert len(origins.hub.requests) == 3
    assert bearers(origins.hub.requests) == [TO_HUB] * 3
    assert origins.stranger.listener.connections_made == 0


async def test_login_carries_it_too(origins: Origins, autojump_clock) -> None:
    origins.space.private = True
    origins.host.app.auth = ("ada", "pw")
    async with client_of(origins, token=TOKEN, auth=("ada", "pw")) as client:
        await client.predict("Ada", api_name="/greet")
    assert origins.host.paths()[0] == "POST /login"
    assert bearers(origins.host.requests) == [TO_SPACE] * len(origins.host.requests)


async def test_websockets_of_old_spaces_carry_it_too() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503)

    http = HTTP(
        "https://ada-story.hf.space/",
        timeouts=Timeouts(),
        limits=Limits(streams=1, transfers=1, message_size=1000),
        headers=space_headers(make_token(TOKEN, "token")),
        transport=httpx.MockTransport(answer),
    )
    with pytest.raises(ConnectionFailed, match="status 503"):
        await CallSocket(http, find_protocol("ws").traits, "3.50").try_connection()
    assert asked[0].headers["x-hf-authorization"] == f"Bearer {TOKEN}"
    await http.aclose()


async def test_without_token_nobody_gets_one(origins, autojump_clock, monkeypatch, tmp_path):
    # One that is saved on the machine is not asked for.
    (tmp_path / "token").write_text("hf_saved")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    origins.space.stages = ["SLEEPING", "RUNNING"]
    for token in (None, False):
        async with client_of(origins, token=token) as client:
            await client.predict("Ada")
    for server in (origins.hub, origins.host):
        assert bearers(server.requests) == [{}] * len(server.requests)


@pytest.mark.parametrize("path", ["/", "/config", "/info", "/queue/join", "/queue/data"])
async def test_no_redirect_carries_it_on(origins: Origins, autojump_clock, path: str) -> None:
    origins.space.stages = ["SLEEPING", "RUNNING"]
    method = "POST" if path == "/queue/join" else "GET"
    elsewhere = Answer(307, "", {"location": f"http://stranger.test{path}?t=1"})
    origins.host.fault(method, path, elsewhere, times=1)

    async def call() -> None:
        async with client_of(origins, token=TOKEN) as client:
            await client.predict("Ada")

    if path == "/":
        # What wakes a Space has only to arrive.
        await call()
    else:
        with pytest.raises(UnexpectedResponse, match="redirects") as caught:
            await call()
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert origins.stranger.listener.connections_made == 0


async def test_hub_that_redirects_to_another_origin(origins: Origins, autojump_clock) -> None:
    elsewhere = Answer(307, "", {"location": "http://stranger.test/api/spaces/ada/story"})
    origins.hub.fault("GET", f"/api/spaces/{SPACE}", elsewhere)
    with pytest.raises(TriojobError, match=SPACE):
        await client_of(origins, token=TOKEN).__aenter__()
    assert origins.stranger.listener.connections_made == 0


async def test_own_url_of_a_space(origins: Origins, autojump_clock) -> None:
    origins.hub.network.add("ada-story.hf.space", origins.host.listener)
    origins.space.private = True
    url = "https://ada-story.hf.space"

    def transport() -> httpx.AsyncBaseTransport:
        return TLSInFront(origins.hub.transport())

    with pytest.raises(AuthenticationError, match=r"\(401\).*private Space.*token="):
        await client_of(origins, url, transport=transport()).__aenter__()
    async with client_of(origins, url, transport=transport(), token=TOKEN) as client:
        await client.predict("Ada")
    assert bearers(origins.host.requests[1:]) == [TO_SPACE] * (len(origins.host.requests) - 1)
    assert origins.hub.requests == []
    origins.host.fault("GET", "/config", Answer(404, "<html>"))
    with pytest.raises(AuthenticationError, match="the Space does not exist, or it is private"):
        await client_of(origins, url, transport=transport()).__aenter__()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:7860",
        "https://example.com/ada/story",
        # What looks like a Space's, but isn't, or can be read on the way.
        "http://ada-story.hf.space",
        "https://ada-story.hf.space:8443",
        "https://hf.space",
        "https://ada-story.hf.space.example.com",
        "https://ada-storyhf.space",
        "https://example.com/.hf.space/",
        "https://example.com?.hf.space/",
        "https://example.com#.hf.space/",
        "https://ada-story.hf.space.",
    ],
)
@pytest.mark.parametrize("token", [TOKEN, True])
def test_url_that_is_no_space_is_refused(url: str, token: str | bool, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(ValueError, match=r"is sent only to Spaces.*headers=") as caught:
        Client(url, token=token)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("url", ["https://ada-story.hf.space", "https://a-b.static.HF.space/x"])
def test_url_that_is_a_space_is_taken(url: str) -> None:
    Client(url, token=TOKEN)


def test_host_with_a_user_is_refused() -> None:
    with pytest.raises(ValueError, match="user name"):
        Client("https://ada-story.hf.space@example.com", token=TOKEN)


async def test_headers_send_one_to_any_app(origins: Origins, autojump_clock) -> None:
    own = {"X-HF-Authorization": f"Bearer {TOKEN}"}
    async with client_of(origins, origins.host.url, headers=own):
        pass
    assert bearers(origins.host.requests) == [TO_SPACE] * 2
    assert origins.hub.requests == []
    with pytest.raises(ValueError, match="remove one"):
        client_of(origins, headers=own, token=TOKEN)


# --- Where it comes from ---


@pytest.mark.parametrize("value", ["", "  \n", "hf_\nx: y", "hf_a b", "hf_é", "hf_\x7f"])
@pytest.mark.parametrize("name", ["token", "oauth_token"])
def test_what_no_token_is(value: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}= is") as caught:
        Client(SPACE, **{name: value})
    assert "hf_" not in str(caught.value)


def test_token_of_another_type() -> None:
    with pytest.raises(TypeError, match="oauth_token= must be a token as text, not bool"):
        Client(SPACE, oauth_token=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "place, variables",
    [
        (None, {"HF_TOKEN": TOKEN, "HF_TOKEN_PATH": "{tmp}/elsewhere"}),
        (None, {"HF_TOKEN": " ", "HUGGING_FACE_HUB_TOKEN": f"{TOKEN}\n"}),
        ("elsewhere", {"HF_TOKEN_PATH": "{tmp}/elsewhere", "HF_HOME": "{tmp}"}),
        ("elsewhere", {"HF_TOKEN": "", "HF_TOKEN_PATH": "$WHERE/elsewhere"}),
        ("hf/token", {"HF_HOME": "{tmp}/hf", "XDG_CACHE_HOME": "{tmp}/xdg"}),
        ("xdg/huggingface/token", {"XDG_CACHE_HOME": "{tmp}/xdg"}),
        (".cache/huggingface/token", {}),
    ],
)
async def test_saved_token(origins, autojump_clock, monkeypatch, tmp_path, place, variables):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("WHERE", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("{tmp}", str(tmp_path)))
    if place is not None:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TOKEN + "\n")
    origins.space.private = True
    async with client_of(origins, token=True):
        pass
    assert bearers(origins.hub.requests) == [TO_HUB]


def test_no_saved_token(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="hf auth login"):
        Client(SPACE, token=True)
    (tmp_path / "token").write_bytes(b"hf_\xff\xfe")
    with pytest.raises(ValueError, match="invalid in a token") as caught:
        Client(SPACE, token=True)
    assert "hf_" not in str(caught.value)


# --- Who must not see it ---


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("server, path", [("hub", "/api/spaces"), ("host", "/"), ("host", "/info")])
async def test_echoes_never_show_the_token(origins, autojump_clock, caplog, form, server, path):
    caplog.set_level(logging.DEBUG)
    origins.space.stages = ["BUILDING", "SLEEPING", "RUNNING"]
    echoes = itertools.cycle(
        [
            lambda words: ServerResponse(500, words),
            lambda words: ServerResponse(200, {"runtime": words, "host": words}),
            lambda words: ServerResponse(200, {"runtime": {"stage": words, "errorMessage": words}}),
        ]
    )
    make = Reply(lambda request: next(echoes)(sent(request, form)))
    getattr(origins, server).fault("GET", path, make, times=3)
    texts: list[str] = []
    for _ in range(3):
        try:
            async with client_of(origins, token=TOKEN) as client:
                texts.append(repr(client))
        except TriojobError as exc:
            texts.append(shown(exc))
    assert not found_in("\n".join([*texts, caplog.text]), [TOKEN])
    assert f"GET {path}" in " ".join(getattr(origins, server).paths())


async def test_no_log_repr_or_error_shows_it(origins: Origins, autojump_clock, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    origins.space.private = True
    origins.space.stages = ["SLEEPING", "BUILDING", "RUNNING"]
    runtime = f"/api/spaces/{SPACE}/runtime"
    origins.hub.fault("GET", runtime, Answer(500, "x"), times=1)
    client = client_of(origins, token=TOKEN, oauth_token="hf_for_the_app")
    shown = [repr(client), repr(vars(client))]
    async with client:
        shown += [repr(client), repr(vars(client)["_token"]), client.view_api(), client.src]
        shown += [repr(client.endpoint("/greet"))]
        origins.host.fault("POST", "/queue/join", Silence())
        with pytest.raises(TriojobError) as caught:
            await client.predict("Ada")
        shown += ["".join(traceback.format_exception(caught.value)), repr(vars(caught.value))]
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(vars(client)["_token"])
    assert len(caplog.records) > 20
    assert "Bearer" not in caplog.text
    for text in [caplog.text, *shown]:
        assert "hf_for_the_app" not in text
        assert TOKEN not in text


async def test_a_redirect_error_cuts_the_query(origins: Origins, autojump_clock) -> None:
    target = f"http://stranger.test/login?token={TOKEN}"
    origins.host.fault("GET", "/config", Answer(302, b"", {"location": target}))
    with pytest.raises(UnexpectedResponse) as caught:
        await client_of(origins, token=TOKEN).__aenter__()
    assert TOKEN not in str(caught.value)
