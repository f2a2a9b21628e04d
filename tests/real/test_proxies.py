"""A real app behind a proxy that buffers responses, as nginx does with its defaults."""

from __future__ import annotations

import httpx
import pytest

from tests.servers.proxies import BufferingProxy
from tests.support.real import opened
from triojob import Timeouts

TIMES = Timeouts(stream_idle=0.2)


@pytest.mark.parametrize("over_httpx", [False, True])
async def test_outputs_come_late_and_none_is_lost(gradio_url: str, over_httpx: bool) -> None:
    transport = httpx.AsyncHTTPTransport() if over_httpx else None
    async with BufferingProxy(gradio_url).serving() as proxy:
        async with opened(proxy.url, timeouts=TIMES, transport=transport) as client:
            job = client.submit(5, 0.3, api_name="/count")
            assert [output async for output in job] == ["0", "1", "2", "3", "4"]
            assert await client.predict("Bob", api_name="/greet") == "Hello Bob!"
        asked = [line for line in proxy.asked if line.endswith("/app_id")]
        assert asked
