"""Opening a Space: by name, by its page, by its own URL."""

from __future__ import annotations

import pytest
import trio.testing

from tests.servers.faults import Answer
from tests.servers.hub import TOKEN, Origins, Space
from tests.spaces.support import SPACE, TLSInFront, client_of
from triojob import (
    AuthenticationError,
    Client,
    ConnectionFailed,
    ProtocolError,
    SpaceError,
    TooManyRequests,
    UnexpectedResponse,
)


async def test_by_name(origins: Origins, autojump_clock) -> None:
    client = client_of(origins)
    assert client.src == "http://hub.test/spaces/ada/story"
    async with client:
        assert client.src == "http://ada-story.test/"
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
    assert origins.hub.paths() == ["GET /api/spaces/ada/story"]
    await trio.testing.wait_all_tasks_blocked()
    assert origins.hub.open_connections == origins.host.open_connections == 0


@pytest.mark.parametrize(
    "page",
    [
        "https://huggingface.co/spaces/ada/story",
        "https://hf.co/spaces/ada/story/",
        "https://huggingface.co/spaces/ada/story/tree/main?logs=build#top",
        "http://hub.test/spaces/ada/story",
    ],
)
async def test_by_its_page(origins: Origins, autojump_clock, page: str) -> None:
    async with client_of(origins, page) as client:
        assert client.src == "http://ada-story.test/"


async def test_hub_of_the_environment(origins: Origins, autojump_clock, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.test/")
    async with client_of(origins, hf_endpoint=None) as client:
        assert await client.predict("Ada") == "Hello Ada!"


async def test_hub_of_all_others_is_hugging_face(origins: Origins, autojump_clock) -> None:
    origins.hub.network.add("huggingface.co", origins.hub.listener)
    origins.hub.network.add("ada-story.hf.space", origins.host.listener)
    origins.space.host = "https://ada-story.hf.space"
    transport = TLSInFront(origins.hub.transport())
    async with Client(SPACE, transport=transport) as client:
        assert client.src == "https://ada-story.hf.space/"


async def test_own_url_does_not_ask_hub(origins: Origins, autojump_clock) -> None:
    origins.hub.network.add("ada-story.hf.space", origins.host.listener)
    transport = TLSInFront(origins.hub.transport())
    async with client_of(origins, "https://ada-story.hf.space", transport=transport) as client:
        assert await client.predict("Ada") == "Hello Ada!"
    assert origins.hub.requests == []


async def test_sleeping_spaces_url_says_how_to_wait(origins, autojump_clock):
    origins.hub.network.add("ada-story.hf.space", origins.host.listener)
    origins.space.stages = ["SLEEPING", "RUNNING"]
    transport = TLSInFront(origins.hub.transport())
    client = client_of(origins, "https://ada-story.hf.space", transport=transport)
    with pytest.raises(UnexpectedResponse, match=r'by its name, Client\("owner/name"\), to wait'):
        await client.__aenter__()


async def test_apps_failure_is_no_sleep(origins, autojump_clock):
    origins.hub.network.add("ada-story.hf.space", origins.host.listener)
    origins.host.fault("GET", "/config", Answer(500, b"Internal Server Error"))
    transport = TLSInFront(origins.hub.transport())
    client = client_of(origins, "https://ada-story.hf.space", transport=transport)
    with pytest.raises(UnexpectedResponse, match="status 500: Internal Server Error"):
        await client.__aenter__()


@pytest.mark.parametrize("src", ["ada/", "/story", "ada/story/more", "ada", "a da/story", "-a/b"])
def test_what_is_no_name_and_no_url(src: str) -> None:
    with pytest.raises(ValueError, match=r"http:// or https://"):
        Client(src)


def test_other_pages_of_the_hub_are_refused() -> None:
    with pytest.raises(ValueError, match="not that of a Space"):
        Client("https://huggingface.co/ada/model")


async def test_missing_and_private_get_one_error(origins: Origins, autojump_clock) -> None:
    origins.space.private = True
    for name in ("ada/nothing", "ada/story"):
        with pytest.raises(SpaceError, match=f"no Space {name}.*private.*token=") as caught:
            await client_of(origins, name).__aenter__()
        assert (caught.value.space, caught.value.stage) == (name, None)
    with pytest.raises(SpaceError, match="the token passed as token= may not read it"):
        await client_of(origins, "ada/nothing", token=TOKEN).__aenter__()
    assert origins.host.requests == []


async def test_private_space_whose_host_answers_with_page(origins, autojump_clock):
    # The hub shows it, as one that became private just now.
    origins.host.space = Space("ada/story", None, private=True)
    with pytest.raises(AuthenticationError, match=r"reading /config.*\(401\).*token="):
        await client_of(origins).__aenter__()


async def test_gradio_login_differs_from_private_space(origins, autojump_clock):
    origins.host.app.auth = ("ada", "pw")
    with pytest.raises(AuthenticationError, match="auth="):
        await client_of(origins, token=TOKEN).__aenter__()


async def test_renamed_space(origins: Origins, autojump_clock) -> None:
    origins.hub.moved["ada/tale"] = "ada/story"
    with pytest.raises(SpaceError, match="from the Space ada/tale to ada/story"):
        await client_of(origins, "ada/tale").__aenter__()


@pytest.mark.parametrize(
    "answer, error",
    [
        (Answer(200, "<html>welcome to the hotel</html>"), UnexpectedResponse),
        (Answer(200, b"{", {"content-type": "application/json"}), ProtocolError),
        (Answer(200, [1]), ProtocolError),
        (Answer(200, {}), ProtocolError),
        (Answer(200, {"runtime": {"stage": 3}, "host": "http://ada-story.test"}), ProtocolError),
        (Answer(200, {"runtime": {"stage": ""}, "host": "http://ada-story.test"}), ProtocolError),
        (Answer(200, {"runtime": {"stage": "RUNNING"}}), ProtocolError),
        (Answer(200, {"runtime": {"stage": "RUNNING"}, "host": "not a URL"}), ProtocolError),
        (Answer(200, {"runtime": {"stage": "RUNNING"}, "host": "http://a:b@c"}), ProtocolError),
        (Answer(204), UnexpectedResponse),
        (Answer(500, "oh"), UnexpectedResponse),
        (Answer(302, "", {"location": "http://stranger.test/"}), UnexpectedResponse),
        (Answer(429, "", {"retry-after": "7"}), TooManyRequests),
    ],
)
async def test_garbage_from_the_hub(origins, autojump_clock, answer, error):
    origins.hub.fault("GET", "/api/spaces/ada/story", answer)
    with pytest.raises(error, match="ada/story") as caught:
        await client_of(origins, token=TOKEN).__aenter__()
    assert type(caught.value) is error
    assert TOKEN not in repr(caught.value)
    if isinstance(caught.value, TooManyRequests):
        assert caught.value.retry_after == 7
    assert origins.host.requests == origins.stranger.requests == []


async def test_hub_with_tls_gives_a_host_without(origins: Origins, autojump_clock) -> None:
    transport = TLSInFront(origins.hub.transport())
    client = client_of(origins, hf_endpoint="https://hub.test", transport=transport, token=TOKEN)
    with pytest.raises(ProtocolError, match="without TLS"):
        await client.__aenter__()
    assert origins.host.listener.connections_made == 0


async def test_no_hub(origins: Origins, autojump_clock) -> None:
    origins.hub.listener.refusing = True
    with pytest.raises(ConnectionFailed, match=r"hub\.test"):
        await client_of(origins).__aenter__()


async def test_nothing_stays_open_when_the_hub_refuses(origins: Origins, autojump_clock) -> None:
    with pytest.raises(SpaceError):
        await client_of(origins, "ada/nothing").__aenter__()
    await trio.testing.wait_all_tasks_blocked()
    assert origins.hub.listener.connections_made == 1
    assert origins.hub.open_connections == 0


async def test_own_http_client_serves_both(origins: Origins, autojump_clock) -> None:
    import httpx

    async with httpx.AsyncClient(transport=origins.hub.transport()) as own:
        async with client_of(origins, transport=None, http_client=own, cookies={"a": "b"}):
            pass
        assert not own.is_closed
    assert "cookie" not in origins.hub.requests[0].headers
    assert origins.host.requests[0].headers["cookie"] == "a=b"


async def test_apps_headers_never_reach_the_hub(origins, autojump_clock):
    origins.space.stages = ["SLEEPING", "RUNNING"]
    async with client_of(origins, headers={"x-mine": "1"}, cookies={"a": "b"}):
        pass
    for request in origins.hub.requests:
        assert "cookie" not in request.headers
        assert "x-mine" not in request.headers
    assert origins.host.requests[-1].headers["x-mine"] == "1"
    assert origins.host.requests[-1].headers["cookie"] == "a=b"
