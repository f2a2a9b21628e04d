"""Tokens for an app's code: sent only with calls of what asks for one, and only if given."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.servers.hub import TOKEN, Origins
from tests.servers.scripted import Event, ScriptedServer
from tests.spaces.support import bearers, client_of
from triojob import AuthenticationError, Client, JobGroup

MINE = "hf_act_as_me"


def add_endpoints(server: ScriptedServer) -> None:
    async def reply(event: Event) -> None:
        await event.completed([event.inputs.body.get("oauth_token", "no such field")])

    for name, wanted in (("must", "required"), ("may", "optional"), ("plain", None)):
        server.app.add(name, reply, inputs=["text"], oauth_token=wanted)


def open_app(app: ScriptedServer, **options) -> Client:
    add_endpoints(app)
    return Client(app.url, transport=app.transport(), **options)


async def test_it_goes_to_who_asks_for_it(memory_app: ScriptedServer, autojump_clock) -> None:
    async with open_app(memory_app, oauth_token=MINE) as client:
        assert await client.predict("x", api_name="/must") == MINE
        assert await client.predict("x", api_name="/may") == MINE
        assert await client.predict("x", api_name="/plain") == "no such field"
        async with JobGroup() as group:
            job = group.submit(client.endpoint("/must"), "x")
        assert await job.result() == MINE
        async with client.session() as session:
            assert await session.predict("x", api_name="/must") == MINE
    # In the body of a join, and nowhere else.
    told = [request for request in memory_app.requests if MINE.encode() in request.body]
    assert [request.path for request in told] == ["/queue/join"] * 4
    assert not any(MINE in f"{r.target} {r.headers}" for r in memory_app.requests)


async def test_without_one_nothing_is_sent(memory_app: ScriptedServer, autojump_clock) -> None:
    async with open_app(memory_app) as client:
        assert await client.predict("x", api_name="/may") == "no such field"
        assert await client.predict("x", api_name="/plain") == "no such field"
        requests = len(memory_app.requests)
        must = client.endpoint("/must")
        with pytest.raises(AuthenticationError, match=r"^/must .*oauth_token="):
            await must("x")
        with pytest.raises(AuthenticationError, match=r"^/must .*oauth_token="):
            client.submit("x", api_name="/must")
        async with JobGroup() as group:
            with pytest.raises(AuthenticationError):
                group.submit(must, "x")
        assert len(memory_app.requests) == requests


async def test_a_login_by_cookies_may_do_instead(memory_app: ScriptedServer, autojump_clock):
    async with open_app(memory_app, cookies={"session": "x"}) as client:
        assert await client.predict("x", api_name="/must") == "no such field"


async def test_it_is_no_parameter(memory_app: ScriptedServer, autojump_clock) -> None:
    async with open_app(memory_app) as client:
        assert list(inspect.signature(client.endpoint("/must")).parameters) == ["text"]


async def test_description_says_who_asks_for_it(memory_app: ScriptedServer, autojump_clock) -> None:
    async with open_app(memory_app, oauth_token=MINE) as client:
        lines = client.view_api().splitlines()
    assert "  (acts with your Hugging Face token: Client(oauth_token=...))" in lines
    assert "  (may act with your Hugging Face token: Client(oauth_token=...))" in lines
    assert sum("Hugging Face" in line for line in lines) == 2
    assert not any(MINE in line for line in lines)


@pytest.mark.parametrize("word", ["REQUIRED", True, ["required"], {"a": 1}, 1, ""])
async def test_other_words_ask_for_nothing(memory_app, autojump_clock, word):
    async with open_app(memory_app, oauth_token=MINE) as client:
        assert await client.predict("x", api_name="/plain") == "no such field"
    memory_app.app["plain"].oauth_token = word  # type: ignore[assignment]
    async with Client(memory_app.url, transport=memory_app.transport(), oauth_token=MINE) as client:
        assert await client.predict("x", api_name="/plain") == "no such field"


async def test_the_two_tokens_are_never_mixed(origins: Origins, autojump_clock) -> None:
    add_endpoints(origins.host)
    async with client_of(origins, token=TOKEN) as client:
        assert await client.predict("x", api_name="/may") == "no such field"
        with pytest.raises(AuthenticationError):
            await client.predict("x", api_name="/must")
    async with client_of(origins, oauth_token=MINE) as client:
        assert await client.predict("x", api_name="/must") == MINE
    for server in (origins.hub, origins.host):
        assert not any(TOKEN.encode() in request.body for request in server.requests)
        assert not any(MINE in header for pair in bearers(server.requests) for header in pair)


# --- A real app ---


@pytest.mark.parametrize("via", ["queue", "run", "call"])
async def test_real_app_gets_it_by_each_way(gradio_url: str, via: Any) -> None:
    async with Client(gradio_url, oauth_token=MINE) as client:
        for name in ("/act", "/act_if_allowed"):
            act = client.endpoint(name, via=via)
            assert await act("x") == "x with 12 characters up to s_me"


async def test_real_app_gets_it(gradio_url: str) -> None:
    async with Client(gradio_url, oauth_token=MINE) as client:
        assert await client.predict("x", api_name="/act") == "x with 12 characters up to s_me"
        assert await client.predict("x", api_name="/act_if_allowed") == (
            "x with 12 characters up to s_me"
        )
        assert "token" not in inspect.signature(client.endpoint("/act")).parameters
        assert "acts with your Hugging Face token" in client.view_api()


async def test_real_app_without_it(gradio_url: str) -> None:
    async with Client(gradio_url) as client:
        assert await client.predict("x", api_name="/act_if_allowed") == "x without"
        with pytest.raises(AuthenticationError, match=r"^/act .*oauth_token="):
            await client.predict("x", api_name="/act")
