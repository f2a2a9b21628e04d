"""A network without sockets: httpcore connections over in-memory streams.

With it, tests run on Trio's mock clock, where nothing waits for real time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Protocol

import httpcore
import httpx
import trio
import trio.testing


class Host(Protocol):
    """A target of connections."""

    @property
    def refusing(self) -> bool: ...

    @property
    def connect_gate(self) -> trio.Event | None: ...

    def accept(self, stream: trio.abc.Stream, *, peer: MemoryPeer | None = None) -> None: ...


class MemoryPeer:
    """Information from the server's end of a connection for the client's end, besides bytes."""

    def __init__(self) -> None:
        self.closed = False
        self.was_reset = False


class MemoryNetwork(httpcore.AsyncNetworkBackend):
    """Connects host names to scripted servers; other names don't exist."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}
        self.connects: list[tuple[str, int]] = []
        """Every attempt to connect, in order."""

    def add(self, name: str, host: Host) -> None:
        """Let connections to `name`, on any port, arrive at `host`."""
        self._hosts[name] = host

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connects.append((host, port))
        with _mapped(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
            with trio.fail_after(_seconds(timeout)):
                await trio.lowlevel.checkpoint()
                server = self._hosts.get(host)
                if server is not None and server.connect_gate is not None:
                    await server.connect_gate.wait()
            if server is None:
                raise httpcore.ConnectError(f"there is no host {host!r} in this network")
            if server.refusing:
                raise httpcore.ConnectError("connection refused")
            ours, theirs = trio.testing.memory_stream_pair()
            peer = MemoryPeer()
            server.accept(theirs, peer=peer)
            return _MemoryConnection(ours, peer)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def transport(self, *, limits: httpx.Limits | None = None) -> httpx.AsyncHTTPTransport:
        """Make a transport that connects through this network, with its own pool."""
        limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20)
        transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False)
        # httpx offers no way to set the backend of its pool: replace the pool.
        transport._pool = httpcore.AsyncConnectionPool(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=self,
        )
        return transport


class _MemoryConnection(httpcore.AsyncNetworkStream):
    def __init__(self, stream: trio.StapledStream[Any, Any], peer: MemoryPeer) -> None:
        self._stream = stream
        self._peer = peer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            with trio.fail_after(_seconds(timeout)):
                data = bytes(await self._stream.receive_some(max_bytes))
            if not data and self._peer.was_reset:
                raise httpcore.ReadError("connection reset by peer")
            return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with (
            _mapped(timeout, httpcore.WriteTimeout, httpcore.WriteError),
            trio.fail_after(_seconds(timeout)),
        ):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        # An idle connection with unread data was closed by the server: the pool drops it.
        return self._peer.closed if info == "is_readable" else None


def _seconds(timeout: float | None) -> float:
    return float("inf") if timeout is None else timeout


@contextmanager
def _mapped(
    timeout: float | None, too_slow: type[Exception], broken: type[Exception]
) -> Generator[None, None, None]:
    try:
        yield
    except trio.TooSlowError as error:
        raise too_slow(f"took more than {timeout} s") from error
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise broken(str(error)) from error
