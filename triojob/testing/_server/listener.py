"""The connections of a server: on a loopback socket, or in memory."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

import trio

from .http import ServerConnection
from .network import MemoryPeer


class Listener:
    """Accepts connections and serves each in a new task.

    Args:
        connect: Makes the object that serves one connection.
        nursery: Where the tasks run.
    """

    def __init__(
        self,
        connect: Callable[[trio.abc.Stream, MemoryPeer | None], ServerConnection],
        nursery: trio.Nursery,
    ) -> None:
        self.nursery = nursery
        self.connections: dict[ServerConnection, None] = {}
        """The open connections."""
        self.connections_made = 0
        self.refusing = False
        """Whether new connections are refused."""
        self.connect_gate: trio.Event | None = None
        """The event that a connection attempt waits for (in memory only)."""
        self._connect = connect
        self._sockets: list[trio.SocketListener] = []

    @property
    def has_sockets(self) -> bool:
        """Whether it can be reached from outside of this process."""
        return bool(self._sockets)

    async def listen(self, tls: ssl.SSLContext | None = None, port: int = 0) -> str:
        """Accept connections on a loopback socket; return its origin, as in a URL."""
        self._sockets = await trio.open_tcp_listeners(port, host="127.0.0.1")
        for listener in self._sockets:
            self.nursery.start_soon(self._accept_from, listener, tls)
        bound = self._sockets[0].socket.getsockname()[1]
        return f"{'https' if tls else 'http'}://127.0.0.1:{bound}"

    async def _accept_from(self, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> None:
        # `close` closes the listener.
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                stream: trio.abc.Stream = await listener.accept()
                if tls is not None:
                    stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
                self.accept(stream)

    def accept(self, stream: trio.abc.Stream, *, peer: MemoryPeer | None = None) -> None:
        """Serve one connection."""
        self.nursery.start_soon(self._serve, self._connect(stream, peer))

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections[connection] = None
        self.connections_made += 1
        try:
            await connection.serve()
        finally:
            del self.connections[connection]

    def kill_connections(self, *, reset: bool = False) -> None:
        """Break every open connection, and keep running."""
        for connection in list(self.connections):
            connection.kill(reset=reset)

    def close(self) -> None:
        """Break every connection and refuse new ones, as when the process is killed."""
        self.refusing = True
        for listener in self._sockets:
            listener.socket.close()
        self._sockets.clear()
        self.kill_connections()
