"""A real app behind a real nginx; see docs/behind-a-proxy.md.  `nox -s nginx` runs this."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import httpx
import pytest
import trio

from qa.nginx.support import (
    ADVISED,
    ADVISED_FOR_WEBSOCKETS,
    LIMITS,
    PLAIN,
    needs_nginx,
    with_rule,
)
from tests.connections.support import check_pieces, raw_responses, read_by_h11
from tests.drivers.test_socket_proxies import old_app
from tests.support.real import SECONDS, call_many
from triojob import (
    Client,
    ConnectionFailed,
    FileTooLarge,
    Limits,
    Timeouts,
    UnexpectedResponse,
    handle_file,
)
from triojob.gradio.http import stream_watch

pytestmark = needs_nginx


async def test_buffered_calls_are_waited_for(behind, gradio_url, caplog, monkeypatch):
    monkeypatch.setattr(stream_watch, "_TWO_HEARTBEATS", 0.5)
    url = behind(PLAIN, behind(PLAIN, gradio_url))
    with trio.fail_after(SECONDS):
        async with Client(url, timeouts=Timeouts(stream_idle=1)) as client:
            job = client.submit(2, 3, api_name="/count")
            outputs = aiter(job)
            assert await anext(outputs) == "0"
            # Unbuffered, it would run for 3 s more.
            with trio.move_on_after(1):
                await job.wait()
            assert job.done
            assert [output async for output in outputs] == ["1"]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["proxy_buffering off" in record.getMessage() for record in warnings] == [True]


@pytest.mark.parametrize("server", [PLAIN, ADVISED], ids=["plain", "advised"])
async def test_unbuffered_outputs_come_as_they_are_made(behind, gradio_url, server):
    with trio.fail_after(SECONDS):
        async with Client(behind(server, gradio_url)) as client:
            job = client.submit(3, 2, api_name="/count")
            first = await anext(aiter(job))
            assert (first, job.done) == ("0", False)
            assert await job.result() == "2"


@pytest.mark.parametrize("server", [PLAIN, ADVISED], ids=["plain", "advised"])
async def test_what_nginx_sends_is_read_alike(behind, gradio_url, server):
    url = httpx.URL(behind(server, gradio_url))
    assert url.port is not None
    with trio.fail_after(SECONDS):
        stream = await trio.open_tcp_stream(url.host, url.port)
        for data in await raw_responses(stream, "greet", ["Ada"]):
            assert check_pieces(data) == read_by_h11(data)


@pytest.mark.parametrize("how", ["jobs", "map"])
@pytest.mark.parametrize("limit", LIMITS)
async def test_what_the_proxy_refuses_is_sent_again(behind, gradio_url, limit, how):
    url = behind(with_rule(limit), gradio_url)
    with trio.fail_after(SECONDS):
        async with Client(url) as client:
            assert await call_many(client, how) == [f"call {n}" for n in range(200)]


async def test_proxy_that_keeps_refusing_is_named(behind, gradio_url):
    server = ADVISED.replace(
        "location / {", "location /gradio_api/queue { return 503; } location / {"
    )
    with trio.fail_after(SECONDS):
        async with Client(behind(server, gradio_url), limits=Limits(refused_for=2)) as client:
            with pytest.raises(UnexpectedResponse, match=r"status 503: 503 Service Temporarily"):
                await client.predict("Bob", api_name="/greet")


@pytest.mark.parametrize("seconds", ["0", "1s"])
async def test_no_call_meets_a_closing_connection(behind, gradio_url, seconds):
    url = behind(PLAIN.replace("{", f"{{ keepalive_timeout {seconds};", 1), gradio_url)

    async def call(seed: int) -> None:
        pause = random.Random(seed)
        async with Client(url) as client:
            for count in range(4):
                assert await client.predict(str(count), api_name="/greet") == f"Hello {count}!"
                await trio.sleep(pause.uniform(0.9, 1.01))

    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            for seed in range(6):
                nursery.start_soon(call, seed)


async def test_large_uploads_are_allowed_by_a_setting(behind, gradio_url, tmp_path):
    large = tmp_path / "large.txt"
    large.write_bytes(b"x" * 3_000_000)
    with trio.fail_after(SECONDS):
        async with Client(behind(ADVISED, gradio_url)) as client:
            path = await client.predict(handle_file(large), api_name="/upper_file")
            assert Path(path).stat().st_size == 3_000_000
        async with Client(behind(PLAIN, gradio_url)) as client:
            with pytest.raises(FileTooLarge):
                await client.predict(handle_file(large), api_name="/upper_file")


@pytest.mark.parametrize("server", [ADVISED_FOR_WEBSOCKETS, ADVISED])
async def test_websockets_pass_by_a_setting(behind, server):
    with trio.fail_after(SECONDS):
        async with old_app() as (app, _), Client(behind(server, app.rstrip("/"))) as client:
            if server is ADVISED_FOR_WEBSOCKETS:
                assert await client.predict("Bob", api_name="/greet") == "Bob"
            else:
                with pytest.raises(
                    ConnectionFailed,
                    match=r"refused the WebSocket|can't open a WebSocket|opens no WebSocket",
                ):
                    await client.predict("Bob", api_name="/greet")
