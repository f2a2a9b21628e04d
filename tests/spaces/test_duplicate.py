"""Copies of Spaces: the real huggingface_hub against a stand-in hub on loopback."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator

import pytest
import trio

from tests.servers.faults import Answer, Hold, Lose
from tests.servers.hub import TOKEN, Origins, open_origins
from tests.spaces.support import SPACE, bearers
from tests.support.hanging import SECONDS
from triojob import (
    Client,
    ConnectionLost,
    MissingDependency,
    SpaceError,
    TooManyRequests,
    UnexpectedResponse,
    duplicate,
)

COPY = f"/api/spaces/{SPACE}/duplicate"


@pytest.fixture
async def loopback() -> AsyncIterator[Origins]:
    with trio.fail_after(SECONDS):
        async with open_origins(memory=False) as opened:
            yield opened


async def test_copy_into_the_account_of_the_token(loopback: Origins) -> None:
    loopback.hub.spaces["bob/tale"] = loopback.space
    assert await duplicate("bob/tale", token=TOKEN, hf_endpoint=loopback.hub.url) == "ada/tale"
    assert loopback.hub.copies == [{"repository": "ada/tale", "visibility": "private"}]
    assert bearers(loopback.hub.requests) == [{"authorization": f"Bearer {TOKEN}"}] * 2
    assert loopback.hub.spaces["ada/tale"].private


async def test_client_opens_the_copy(loopback: Origins, monkeypatch) -> None:
    # As the environment says, and as one writes it.
    monkeypatch.setenv("HF_ENDPOINT", loopback.hub.url)
    name = await duplicate(SPACE, "mine", token=TOKEN)
    assert name == "ada/mine"
    copy = loopback.hub.spaces[name]
    copy.host, copy.stages = loopback.host.url, ["BUILDING", "RUNNING"]
    loopback.host.app.add("greet", inputs=["name"])
    loopback.host.space = copy
    async with Client(name, token=TOKEN) as client:
        assert await client.predict("Ada", api_name="/greet") == "Ada"


async def test_settings_reach_the_hub(loopback: Origins) -> None:
    name = await duplicate(
        f"{loopback.hub.url}/spaces/{SPACE}",
        "team/story",
        token=TOKEN,
        private=False,
        hardware="t4-small",
        sleep_timeout=300,
        secrets={"KEY": "s3cret"},
        variables={"MODE": "fast"},
        hf_endpoint=loopback.hub.url,
    )
    assert name == "team/story"
    assert loopback.hub.copies == [
        {
            "repository": "team/story",
            "visibility": "public",
            "hardware": "t4-small",
            "sleepTimeSeconds": 300,
            "secrets": [{"key": "KEY", "value": "s3cret"}],
            "variables": [{"key": "MODE", "value": "fast"}],
        }
    ]


async def test_copy_that_is_there_already(loopback: Origins) -> None:
    url = loopback.hub.url
    await duplicate(SPACE, "copy", token=TOKEN, hf_endpoint=url)
    with pytest.raises(SpaceError, match="exist_ok=True"):
        await duplicate(SPACE, "copy", token=TOKEN, hf_endpoint=url)
    assert await duplicate(SPACE, "copy", token=TOKEN, hf_endpoint=url, exist_ok=True) == "ada/copy"


async def test_token_saved_on_the_machine(loopback: Origins, monkeypatch) -> None:
    with pytest.raises(TypeError, match="token"):
        await duplicate(SPACE, hf_endpoint=loopback.hub.url)  # type: ignore[call-arg]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(ValueError, match="needs token="):
        await duplicate(SPACE, token=False, hf_endpoint=loopback.hub.url)
    assert loopback.hub.requests == []
    assert await duplicate(SPACE, "copy", token=True, hf_endpoint=loopback.hub.url) == "ada/copy"


@pytest.mark.parametrize(
    "fault, error, words",
    [
        (Answer(401, {"error": "Invalid username or password."}), SpaceError, "401"),
        (Answer(403, {"error": "no right to write"}), SpaceError, "no right to write"),
        (Answer(404, {}, {"x-error-code": "RepoNotFound"}), SpaceError, "it does not exist"),
        (Answer(429, {}), TooManyRequests, "limits the rate"),
        (Answer(402, {"error": "add a card"}), UnexpectedResponse, "402: add a card"),
        (Answer(500, {}), UnexpectedResponse, "500"),
        (Lose(), ConnectionLost, "lost the connection"),
    ],
)
async def test_what_the_hub_refuses(loopback, fault, error, words):
    loopback.hub.fault("POST", COPY, fault)
    with pytest.raises(error, match=words) as caught:
        await duplicate(SPACE, "bob/copy", token=TOKEN, hf_endpoint=loopback.hub.url)
    assert type(caught.value) is error
    assert SPACE in str(caught.value)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    # What may cost money is not asked for twice.
    assert loopback.hub.paths() == [f"POST {COPY}"]


async def test_no_hub(loopback: Origins) -> None:
    loopback.hub.die()
    with pytest.raises(ConnectionLost):
        await duplicate(SPACE, "ada/copy", token=TOKEN, hf_endpoint=loopback.hub.url)


async def test_cancelled_waiting_names_the_copy(loopback: Origins, caplog) -> None:
    gate = trio.Event()
    loopback.hub.fault("POST", COPY, Hold(gate))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel_when_asked() -> None:
                while not loopback.hub.copies:  # noqa: ASYNC110 - it comes from a thread
                    await trio.sleep(0.005)
                scope.cancel()

            nursery.start_soon(cancel_when_asked)
            await duplicate(SPACE, "ada/copy", token=TOKEN, hf_endpoint=loopback.hub.url)
            raise AssertionError("it was not cancelled")
    assert scope.cancelled_caught
    gate.set()
    while "was created after" not in caplog.text:  # noqa: ASYNC110 - a thread that nobody waits for
        await trio.sleep(0.005)
    records = [record for record in caplog.records if record.name == "triojob"]
    assert [record.levelno for record in records] == [logging.WARNING]
    assert "ada/copy" in caplog.text
    assert TOKEN not in caplog.text


async def test_cancelled_before_it_starts(loopback: Origins) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await duplicate(SPACE, "ada/copy", token=TOKEN, hf_endpoint=loopback.hub.url)
    assert scope.cancelled_caught
    assert loopback.hub.requests == []


async def test_trio_goes_on_meanwhile(loopback: Origins) -> None:
    # The stand-in hub is served by this very thread.
    threads: set[int | None] = set()
    original = loopback.hub.handle

    async def handle(request):
        threads.add(threading.get_ident())
        return await original(request)

    loopback.hub.handle = handle  # type: ignore[method-assign]
    await duplicate(SPACE, "ada/copy", token=TOKEN, hf_endpoint=loopback.hub.url)
    assert threads == {threading.get_ident()}


async def test_without_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependency, match=r"pip install 'triojob\[spaces\]'"):
        await duplicate(SPACE, token=TOKEN, hf_endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    "space, to, words",
    [
        ("story", None, "http://"),
        ("http://example.com/ada/story", None, "owner/name"),
        (SPACE, "a/b/c", "owner/name or name"),
        (SPACE, "", "owner/name or name"),
        (SPACE, "../x", "owner/name or name"),
    ],
)
async def test_names_that_can_not_be(space: str, to: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        await duplicate(space, to, token=TOKEN, hf_endpoint="http://127.0.0.1:9")
