"""An app that is killed and restarted at the same address."""

from __future__ import annotations

import logging

import pytest

from tests.support.real import new_key, opened, probe_until
from triojob import ConnectionLost, ServerRestarted


@pytest.mark.full
async def test_restart_is_noticed(start_gradio, caplog):
    caplog.set_level(logging.WARNING, logger="triojob")
    server = start_gradio()
    port = server.url.rpartition(":")[2]
    async with opened(server.url) as client, client.session() as session:
        bump, greet = client.endpoint("/bump"), client.endpoint("/greet")
        assert [await bump() for _ in range(2)] == [1, 2]
        assert await session.predict(api_name="/bump") == 1
        key = new_key("restart")
        running = client.submit(100, key, api_name="/slow")
        await probe_until(client, key, started=1)
        server.kill()
        with pytest.raises(ConnectionLost):
            await running.result()
        assert start_gradio("--port", port).url == server.url
        assert await greet("Ada") == "Hello Ada!"
        assert "was restarted" in caplog.text
        for call in (bump, session.endpoint("/bump")):
            with pytest.raises(ServerRestarted):
                await call()
            assert [await call() for _ in range(2)] == [1, 2]
