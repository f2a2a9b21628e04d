"""Event streams that come in pieces of any size: nothing that is sent depends on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.faults import Drip, Fault, Split
from tests.servers.scripted import Event, ScriptedServer
from tests.support.faults import clean_client
from triojob import Client, LogMessage, OutputUpdate, StatusUpdate

pytestmark = pytest.mark.usefixtures("either_way")

# Line separators that Gradio sends raw, characters of two to four bytes, quotes and escapes.
TEXTS = [
    "one\u2028two\u2029three\u0085four",
    "caf\u00e9 \u20ac \U0001f600",
    'a "quoted"\\ \r\n\x0b\x0c\x1c\x1d\x1e text\n\ndata: {"msg": "close_stream"}\n\n',
]


def add_talker(server: ScriptedServer) -> None:
    """Add what sends a message of every kind."""

    @server.app.endpoint(generator=True, outputs=["first", "second"])
    async def talk(event: Event) -> None:
        await event.progress([(1, 3), 0.5])
        for text in TEXTS:
            await event.log(text, title=text)
            await event.generating([text, "same"])
        await event.completed([TEXTS[-1], "same"])


def content(update: Any) -> Any:
    """Leave out what differs from run to run."""
    if isinstance(update, LogMessage):
        return update.text, update.title
    if isinstance(update, OutputUpdate):
        return update.index, update.output
    assert isinstance(update, StatusUpdate)
    return update.code, update.rank, update.progress_data, update.success


async def story_of(client: Client) -> list[Any]:
    """Return everything that a call tells of itself."""
    job = client.submit(api_name="/talk")
    story = [content(update) async for update in job.updates()]
    return [*story, await job.result()]


def assert_whole(story: list[Any]) -> None:
    """Show that a story is the one of `talk`."""
    assert story[-1] == (TEXTS[-1], "same")
    outputs = [(index, (text, "same")) for index, text in enumerate(TEXTS)]
    assert [part for part in story if part in outputs] == outputs
    assert [part for part in story if part[:2] in {(text, text) for text in TEXTS}] == [
        (text, text) for text in TEXTS
    ]


FAULTS: list[Fault] = [
    *(Split(size) for size in (*range(1, 14), 17, 31, 64, 127, 251, 509)),
    Drip(1, 0.01),
    Drip(7, 1),
    Drip(100, 59),
]


async def test_a_stream_may_be_torn_anywhere(memory_app, autojump_clock):
    add_talker(memory_app)
    async with clean_client(memory_app, bound=10**6) as client:
        whole = await story_of(client)
        assert_whole(whole)
        for fault in FAULTS:
            memory_app.fault("GET", "/queue/data", fault, times=1)
            assert await story_of(client) == whole, fault


async def test_several_calls_may_share_torn_stream(memory_app, autojump_clock):
    add_talker(memory_app)
    async with clean_client(memory_app) as client, client.session() as session:
        for size in (1, 3, 31):
            memory_app.fault("GET", "/queue/data", Split(size), times=1)
            jobs = [session.submit(api_name="/talk") for _ in range(3)]
            for job in jobs:
                assert await job.result() == (TEXTS[-1], "same")
                assert job.outputs() == [(text, "same") for text in TEXTS]
