"""Event data on the wire."""

from __future__ import annotations

import inspect

import pytest

from tests.support.sessions import opened


async def test_event_data_collides_with_no_parameter(memory_app, autojump_clock):
    memory_app.app.add("echo", inputs=["event_data", "trigger_id"], outputs=["one", "two"])
    async with opened(memory_app) as client, client.session() as session:
        for each in (client, session):
            plain = each.endpoint("/echo")
            selected = plain.with_event_data({"index": 1, "value": "\u2028é"}, 7)
            assert inspect.signature(selected) == inspect.signature(plain)
            assert await selected(event_data="a", trigger_id="b") == ("a", "b")
            assert await plain("a", "b") == ("a", "b")
            sent, without = memory_app.joins[-2:]
            assert sent["event_data"] == {"index": 1, "value": "\u2028é"}
            assert sent["trigger_id"] == 7
            assert (without["event_data"], without["trigger_id"]) == (None, None)


@pytest.mark.parametrize("data, error", [(object(), TypeError), (float("nan"), ValueError)])
async def test_non_json_is_refused_at_once(data, error, memory_app, autojump_clock):
    memory_app.app.add("echo", inputs=["text"])
    async with opened(memory_app) as client:
        with pytest.raises(error, match="event data for /echo"):
            client.endpoint("/echo").with_event_data(data)
