"""The WebSocket of Gradio 3 goes the way that all other requests of the client go."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, wrap_server_stream

from tests.drivers.peer import SECONDS, TRACES
from tests.servers.proxies import ForwardProxy, read_head
from triojob import Client, ConnectionFailed

pytestmark = pytest.mark.usefixtures("no_proxies")

SECRET = {"authorization": "Bearer secret"}


class Rewound(trio.abc.Stream):
    """A stream of which a part has been read already."""

    def __init__(self, begun: bytes, stream: trio.abc.Stream) -> None:
        self._begun = begun
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        begun, self._begun = self._begun, b""
        return begun or await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def old_app(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve an app of Gradio 3; give its URL, and the addresses that it was called from."""
    callers: list[str] = []
    files = {
        f" /{name} ".encode(): (TRACES / "3.50.2" / f"{name}.json").read_bytes()
        for name in ("config", "info")
    }

    async def talk(socket: Any) -> None:
        await socket.send_message('{"msg": "send_hash"}')
        await socket.get_message()
        await socket.send_message('{"msg": "send_data"}')
        data = json.loads(await socket.get_message())["data"]
        done = {"msg": "process_completed", "output": {"data": data}, "success": True}
        await socket.send_message(json.dumps(done))
        await socket.aclose()

    async def serve(raw: trio.SocketStream) -> None:
        stream: Any = raw
        if tls is not None:
            stream = trio.SSLStream(raw, tls, server_side=True, https_compatible=True)
        try:
            head, rest = await read_head(stream)
            line = head.partition(b"\r\n")[0]
            callers.append(line.decode().split(" ")[1])
            if b" /queue/join " in line:
                async with trio.open_nursery() as nursery:
                    begun = Rewound(head + rest, stream)
                    request = await wrap_server_stream(nursery, begun)  # type: ignore[arg-type]
                    with suppress(ConnectionClosed):  # not in the nursery's group
                        await talk(await request.accept())
                return
            body = next((body for path, body in files.items() if path in line), None)
            status = b"404 Not Found" if body is None else b"200 OK"
            await stream.send_all(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (status, len(body or b""), body or b"")
            )
        except (trio.BrokenResourceError, ConnectionClosed):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        port = listeners[0].socket.getsockname()[1]
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}/", callers
        nursery.cancel_scope.cancel()


Told = Callable[[pytest.MonkeyPatch, str, ssl.SSLContext | None], dict[str, Any]]
"""Tells a client of a proxy, in the environment or by the arguments that it returns."""


def by_environment(
    patch: pytest.MonkeyPatch, proxy: str, tls: ssl.SSLContext | None
) -> dict[str, Any]:
    patch.setenv("HTTPS_PROXY" if tls else "HTTP_PROXY", proxy)
    return {} if tls is None else {"verify": tls}


def by_own_client(
    patch: pytest.MonkeyPatch, proxy: str, tls: ssl.SSLContext | None
) -> dict[str, Any]:
    return {"http_client": httpx.AsyncClient(proxy=proxy, verify=tls or True)}


def by_own_transport(
    patch: pytest.MonkeyPatch, proxy: str, tls: ssl.SSLContext | None
) -> dict[str, Any]:
    return {"transport": httpx.AsyncHTTPTransport(proxy=proxy, verify=tls or True)}


@pytest.mark.parametrize("told", [by_environment, by_own_client, by_own_transport])
@pytest.mark.parametrize("secure", [False, True])
async def test_it_goes_through_the_proxy(monkeypatch, authority, told, secure):
    server, client_tls = authority.server("127.0.0.1"), authority.client()
    with trio.fail_after(SECONDS):
        async with (
            old_app(server if secure else None) as (url, callers),
            ForwardProxy().serving() as proxy,
        ):
            options = told(monkeypatch, proxy.url, client_tls if secure else None)
            async with Client(url, headers=SECRET, **options) as client:
                assert await client.predict("Bob", api_name="/greet") == "Bob"
            if "http_client" in options:
                await options["http_client"].aclose()
            assert "/queue/join" in callers
            assert len(proxy.asked) == len(callers)
            assert {asked.split(" ")[0] for asked in proxy.asked} == (
                {"CONNECT"} if secure else {"GET"}
            )


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n", "405"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsorry", "200|no connection"),
        (b"", "WebSocket|no connection"),
    ],
)
@pytest.mark.parametrize("told", [by_environment, by_own_client, by_own_transport])
@pytest.mark.parametrize("secure", [False, True])
async def test_refusing_proxy_is_not_bypassed(monkeypatch, authority, answer, words, told, secure):
    server, client_tls = authority.server("127.0.0.1"), authority.client()
    with trio.fail_after(SECONDS):
        async with (
            old_app(server if secure else None) as (url, callers),
            ForwardProxy().serving() as proxy,
        ):
            options = told(monkeypatch, proxy.url, client_tls if secure else None)
            async with Client(url, headers=SECRET, **options) as client:
                proxy.refuses["CONNECT" if secure else "/queue/join"] = answer
                with pytest.raises(ConnectionFailed, match=words) as caught:
                    await client.predict("Bob", api_name="/greet")
            if "http_client" in options:
                await options["http_client"].aclose()
            assert "/greet" in str(caught.value)
            assert "/queue/join" not in callers


async def test_a_transport_without_connections_is_told_so() -> None:
    class Answers(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "upgrade" in request.headers:
                return httpx.Response(101)
            name = request.url.path.strip("/")
            if name == "app_id":
                return httpx.Response(404)
            described = json.loads((TRACES / "3.50.2" / f"{name}.json").read_bytes())
            return httpx.Response(200, json=described)

    async with Client("http://app.test", transport=Answers()) as client:
        with pytest.raises(ConnectionFailed, match="transport="):
            await client.predict("Bob", api_name="/greet")
