"""A Gradio server on Trio, as far as clients can observe: its routes, and the parts behind them.

It implements Gradio 6.31's protocol, including its inconvenient semantics: one queue of messages
per session, popped by any open stream; a cancel request that stops sibling events without a
message; a session that is wiped when its stream breaks.

A *script* defines an endpoint's behavior: an async function that receives an `Event`.
The server itself sends the rank in the queue and the start (unless `manual=True`).
A script that returns without completing is completed with its last yield, like a Gradio generator
that ends.
"""

from __future__ import annotations

import ssl
import urllib.parse

import httpx
import trio

from .checks import invalid_fields, parsed, validate
from .description import App
from .http import ServerConnection, ServerRequest, ServerResponse, StreamedResponse
from .listener import Listener
from .log import RequestLog
from .login import Logins
from .messages import Message, frame
from .network import MemoryNetwork, MemoryPeer
from .queue import Queue
from .storage import FileStorage
from .streams import HeartbeatStream, MessageStream, StreamCount


class AppServer:
    """Serves an `App` on loopback sockets or in memory, and records everything."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        self.app = app
        self.url = ""
        self.log = RequestLog()
        self.queue = Queue(app, nursery)
        self.storage = FileStorage(app)
        self.logins = Logins(app)
        self.streams = StreamCount()
        self.heartbeats = StreamCount()
        self.listener = Listener(self.connection, nursery)
        self.network = MemoryNetwork()
        self.refusals: list[ServerResponse] = []
        """The responses to the next requests to join the queue, in the place of its own."""

    # --- Serving ---

    async def listen(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """Serve on a loopback socket; port 0 is any free port."""
        self.url = await self.listener.listen(tls, port) + self.app.mount

    def serve_in_memory(self, host: str = "scripted.test") -> None:
        """Serve on this server's `network`, as `host`."""
        self.network.add(host, self.listener)
        self.url = f"http://{host}{self.app.mount}"

    def transport(self, *, limits: httpx.Limits | None = None) -> httpx.AsyncHTTPTransport:
        """Make a transport that reaches this server through its `network`."""
        return self.network.transport(limits=limits)

    def die(self) -> None:
        """Break every connection and refuse new ones, like a process that was killed."""
        self.queue.drop_events()
        self.listener.close()

    def restart(self) -> None:
        """Forget all sessions and events, as a new process would; with a new app_id.

        After `die`, only a server in memory can be reached again.
        """
        self.queue.forget()
        self.logins.forget()
        self.listener.kill_connections()
        self.listener.refusing = False
        self.app.app_id += 1

    # --- Interface for connections ---

    def connection(self, stream: trio.abc.Stream, peer: MemoryPeer | None) -> ServerConnection:
        """Make the object that serves one connection."""
        return ServerConnection(self, stream, peer)

    def split_target(self, target: str) -> tuple[str, str]:
        """Remove the mount and the API prefix from the path, and split off the query."""
        path, _, query = target.partition("?")
        path = path.removeprefix(self.app.mount)
        if path.startswith(self.app.api_prefix + "/"):
            path = path.removeprefix(self.app.api_prefix)
        return path, query

    def note(self, request: ServerRequest) -> None:
        """Record a request."""
        self.log.requests.append(request)

    def encode(self, message: Message) -> bytes:
        """Return the bytes of a message in an event stream."""
        return frame(message)

    # --- Routes ---

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        """Respond to one request."""
        response = await self._handle_open(request)
        if response is not None:
            return response
        if self.app.auth is not None and self.logins.user_of(request) is None:
            detail = {"error": "Not authenticated", "auth_message": None}
            return ServerResponse(401, {"detail": detail})
        return await self._handle_guarded(request)

    async def _handle_open(
        self, request: ServerRequest
    ) -> ServerResponse | StreamedResponse | None:
        """Respond to a request that needs no login, or return None."""
        route = (request.method, request.path)
        if route == ("POST", "/login"):
            return self.logins.log_in(request, self.url)
        if route == ("POST", "/cancel"):
            return await self._cancel(request)
        if route == ("POST", "/reset"):
            return ServerResponse(200, {"success": True})
        if route == ("GET", "/app_id"):
            return ServerResponse(200, {"app_id": self.app.app_id})
        if request.method == "GET" and request.path.startswith("/heartbeat/"):
            session_hash = request.path.removeprefix("/heartbeat/")
            return HeartbeatStream(session_hash, self.app, self.heartbeats, self.log)
        if request.method == "POST" and request.path.startswith("/stream/"):
            return self._input(request)
        return None

    async def _handle_guarded(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        route = (request.method, request.path)
        if route == ("GET", "/config"):
            username = self.logins.user_of(request)
            return ServerResponse(200, self.app.config(self.url, username=username))
        if route == ("GET", "/info"):
            all_endpoints = request.query.get("all_endpoints", "").lower() == "true"
            return ServerResponse(200, self.app.info(all_endpoints=all_endpoints))
        if route == ("POST", "/queue/join"):
            return await self._join(request)
        if route == ("GET", "/queue/data"):
            return self._messages(request)
        if route == ("GET", "/queue/status"):
            message: Message = {"msg": "estimation", "event_id": None, "rank": None}
            size = len(self.queue.waiting)
            return ServerResponse(200, {**message, "queue_size": size, "rank_eta": None})
        if route == ("POST", "/upload"):
            return self.storage.upload(request)
        if request.method == "GET" and request.path.startswith("/file="):
            path = urllib.parse.unquote(request.path.removeprefix("/file="))
            return self.storage.download(path, request)
        if request.method == "GET" and request.path.startswith("/stream/"):
            path = urllib.parse.unquote(request.path.removeprefix("/stream/"))
            return self.storage.stream(path)
        return ServerResponse(404, {"detail": "Not Found"})

    async def _join(self, request: ServerRequest) -> ServerResponse:
        if self.refusals:
            return self.refusals.pop(0)
        body = parsed(request)
        invalid = invalid_fields(body, {"data": list}, {"fn_index": int, "session_hash": str})
        if invalid:
            return ServerResponse(422, {"detail": invalid})
        if body.get("session_hash") is None:
            return ServerResponse(400, {"detail": "Session hash not found."})
        if self.queue.stopped:
            return ServerResponse(503, {"detail": "Queue is stopped."})
        if body.get("fn_index") is None:
            return ServerResponse(400, {"detail": "No function index provided."})
        size, limit = len(self.queue.waiting), self.app.max_queue_size
        if limit is not None and size >= limit:
            detail = f"Queue is full. Max size is {limit} and size is {size}."
            return ServerResponse(503, {"detail": detail})
        endpoint = self.app.find(body["fn_index"])
        if endpoint is None or not endpoint.backend:
            # An exception in the server: it responds, and then drops the connection.
            return ServerResponse(500, b"Internal Server Error", close=True)
        if endpoint.validator is not None:
            refusal = validate(endpoint, body["data"])
            if refusal is not None:
                return refusal
        event = await self.queue.join(endpoint, body)
        return event.refusal or ServerResponse(200, {"event_id": event.event_id})

    def _input(self, request: ServerRequest) -> ServerResponse:
        event_id, _, close = request.path.removeprefix("/stream/").partition("/")
        event = self.queue.events.get(event_id)
        if event is None or event.ended:
            return ServerResponse(404)
        event.inputs.take(None if close else parsed(request))
        return ServerResponse(200, {"msg": "success"})

    async def _cancel(self, request: ServerRequest) -> ServerResponse:
        body = parsed(request)
        invalid = invalid_fields(body, {"session_hash": str, "fn_index": int, "event_id": str})
        if invalid:
            return ServerResponse(422, {"detail": invalid})
        (self.log.cancels if body["fn_index"] >= 0 else self.log.dequeues).append(body)
        await self.queue.cancel(body["session_hash"], body["fn_index"], body["event_id"])
        return ServerResponse(200, {"success": True})

    def _messages(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        session_hash = request.query.get("session_hash")
        if session_hash is None:
            where = {"type": "missing", "loc": ["query", "session_hash"]}
            detail = {**where, "msg": "Field required", "input": None}
            return ServerResponse(422, {"detail": [detail]})
        return MessageStream(session_hash, self.queue, self.app, self.streams, self.encode)
