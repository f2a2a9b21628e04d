"""A Gradio server on Trio, as far as a client can tell: its routes, its queue and its sessions.

It speaks Gradio 6.31's protocol, and keeps to Gradio's semantics also where they hurt: one queue
of messages per session, popped by whoever listens; a cancel that kills the siblings without a
word; a session that is wiped when its stream breaks.

What an endpoint does is said by a *script*, an async function that gets an `Event`.
The place in the queue and the start are told by themselves (unless `manual=True`).
A script that returns without having completed is completed with what it yielded last, as a Gradio
generator that ends.
"""

from __future__ import annotations

import contextlib
import copy
import email.parser
import email.policy
import hashlib
import http.cookies
import secrets
import ssl
import urllib.parse
from typing import Any

import httpx
import trio

from ..components import Component
from .checks import invalid_fields, parsed, validate
from .description import App
from .event import Event, Message
from .http import Connection, EventStream, Request, Response
from .network import MemoryNetwork, MemoryPeer
from .queue import Means, MessageQueue, Waiting
from .streams import Heartbeats, SessionStream

POLL_SECONDS = 10.0
"""How long Gradio's stream waits for a message before it looks around."""


class AppServer:
    """Serves an `App` on loopback sockets or in memory, and remembers everything."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        self.app = app
        self.url = ""
        self.network = MemoryNetwork()
        self.requests: list[Request] = []
        self.events: dict[str, Event] = {}
        """Every event that ever joined the queue, by id, in order."""
        self.cancels: list[dict[str, Any]] = []
        """The body of each POST /cancel that names a function."""
        self.dequeues: list[dict[str, Any]] = []
        """The body of each other one: it takes an event out of the queue, and stops none."""
        self.unloads: list[str] = []
        """The sessions whose heartbeat connection was closed."""
        self.files: dict[str, bytes] = {}
        """What /file= hands out: uploads, and what the test puts there."""
        self.file_headers: dict[str, dict[str, str]] = {}
        """Headers that /file= adds for a path, over its own."""
        self.ranges = True
        """Whether /file= serves ranges of a file, and marks its version."""
        self.media: dict[str, bytes] = {}
        """What /stream/ hands out: playlists and their segments."""
        self.open_connections = 0
        self.connections_made = 0
        self.open_streams = 0
        self.streams_made = 0
        self.max_open_streams = 0
        self.open_heartbeats = 0
        self.deaf_to_cancel = False
        """Say yes to every cancel and do nothing."""
        self.eager = True
        """Give a freed place away at once, even while the cancel that freed it goes on.

        Gradio does so now and then: then cancelling a queued event starts it."""
        self.stopped = False
        """Whether the queue was stopped, as when the app shuts down."""
        self.refusing = False
        """Whether new connections are refused."""
        self.connect_gate: trio.Event | None = None
        """What a connection attempt waits for (in memory only)."""
        self.step_times = Means()
        self.run_times = Means()
        self._nursery = nursery
        self._messages: dict[str, MessageQueue] = {}
        self._pending: dict[str, set[str]] = {}
        self._waiting: dict[str, Waiting] = {}
        self._session_state: dict[str, dict[Component, Any]] = {}
        self._tokens: dict[str, str] = {}
        self._connections: dict[Connection, None] = {}
        self._listeners: list[trio.SocketListener] = []
        self._tls: ssl.SSLContext | None = None
        self._cookie_id = secrets.token_urlsafe(8)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.url} {len(self.requests)} requests,"
            f" {len(self.running)} running, {len(self.waiting)} waiting,"
            f" {self.open_streams} streams, {self.open_connections} connections>"
        )

    # --- What a test asks and does ---

    @property
    def running(self) -> list[Event]:
        return [event for queue in self._waiting.values() for event in queue.running]

    @property
    def waiting(self) -> list[Event]:
        return [event for queue in self._waiting.values() for event in queue.events]

    @property
    def joins(self) -> list[dict[str, Any]]:
        """The body of each POST /queue/join."""
        return [
            request.json
            for request in self.requests
            if (request.method, request.path) == ("POST", "/queue/join")
        ]

    def paths(self) -> list[str]:
        """List "METHOD /path" of each request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def inject(self, session_hash: str, data: bytes) -> None:
        """Put bytes into a session's stream, in the place of a frame."""
        self._messages[session_hash].put(data)

    def post(self, session_hash: str, message: Message) -> None:
        """Put a message into a session's stream."""
        queue = self._messages.get(session_hash)
        if queue is not None:
            queue.put(message)

    def state_of(self, session_hash: str, component: Component) -> Any:
        """Look up what a session keeps in a State."""
        kept = self._session_state.setdefault(session_hash, {})
        return copy.deepcopy(kept.get(component, component.value))

    def set_state(self, session_hash: str, component: Component, value: Any) -> None:
        self._session_state.setdefault(session_hash, {})[component] = value

    def kill_connections(self, *, reset: bool = False) -> None:
        """Break every open connection. The server goes on."""
        for connection in list(self._connections):
            connection.kill(reset=reset)

    def die(self) -> None:
        """Break every connection and refuse new ones, as a process that was killed."""
        self.refusing = True
        for event in self.running:
            event.alive = False
            event.cancel_scope.cancel()
        for listener in self._listeners:
            listener.socket.close()
        self._listeners.clear()
        self.kill_connections()

    def restart(self) -> None:
        """Forget all sessions and events, as a new process would; with a new app_id.

        After `die`, only a server in memory can be reached again.
        """
        for event in self.running:
            event.alive = False
            event.cancel_scope.cancel()
        for event in self.waiting:
            event.state = "removed"
            event.finished.set()
        self.kill_connections()
        self._messages.clear()
        self._pending.clear()
        self._waiting.clear()
        self._session_state.clear()
        self._tokens.clear()
        self.app.app_id += 1
        self.refusing = False

    async def settled(self, timeout: float = 5) -> None:
        """Wait until nothing runs, waits or streams; heartbeats live as long as their sessions."""
        with trio.move_on_after(timeout):
            # Polled: none of the three says when it ends.
            while self.running or self.waiting or self.open_streams:  # noqa: ASYNC110
                await trio.sleep(0.01)
            return
        raise AssertionError(f"did not settle: {self!r}, {self.running}, {self.waiting}")

    def transport(self, *, limits: httpx.Limits | None = None) -> httpx.AsyncHTTPTransport:
        """Make a transport that reaches this server by its `network`."""
        return self.network.transport(limits=limits)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Make a raw httpx client for the API: paths are relative to the prefix."""
        base = self.url + self.app.api_prefix
        transport = None if self._listeners else self.transport()
        return httpx.AsyncClient(base_url=base, transport=transport, trust_env=False, **options)

    # --- Serving ---

    async def listen(self, tls: ssl.SSLContext | None = None) -> None:
        """Serve on a loopback socket."""
        self._tls = tls
        self._listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = self._listeners[0].socket.getsockname()[1]
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{port}{self.app.mount}"
        for listener in self._listeners:
            self._nursery.start_soon(self._accept_from, listener)

    def serve_in_memory(self, host: str = "scripted.test") -> None:
        """Serve on this server's `network`, as `host`."""
        self.network.add(host, self)
        self.url = f"http://{host}{self.app.mount}"

    async def _accept_from(self, listener: trio.SocketListener) -> None:
        # The listener is closed by `die`.
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                stream: trio.abc.Stream = await listener.accept()
                if self._tls is not None:
                    stream = trio.SSLStream(
                        stream, self._tls, server_side=True, https_compatible=True
                    )
                self.accept(stream)

    def accept(self, stream: trio.abc.Stream, *, peer: MemoryPeer | None = None) -> None:
        """Serve one connection."""
        self._nursery.start_soon(self._serve_connection, self.connection(stream, peer))

    async def _serve_connection(self, connection: Connection) -> None:
        self._connections[connection] = None
        self.open_connections += 1
        self.connections_made += 1
        try:
            await connection.serve()
        finally:
            self.open_connections -= 1
            del self._connections[connection]

    def split_target(self, target: str) -> tuple[str, str]:
        """Take the mount and the API prefix off the path, and the query apart."""
        path, _, query = target.partition("?")
        path = path.removeprefix(self.app.mount)
        if path.startswith(self.app.api_prefix + "/"):
            path = path.removeprefix(self.app.api_prefix)
        return path, query

    def joined(self, event: Event) -> None:
        """Hear of an event that was taken."""

    def cancelling(self, event: Event) -> None:
        """Hear of an event that a client wants to be cancelled."""

    def note(self, request: Request) -> None:
        """Remember a request."""
        self.requests.append(request)

    def connection(self, stream: trio.abc.Stream, peer: MemoryPeer | None) -> Connection:
        """Make what serves one connection."""
        return Connection(self, stream, peer)

    # --- Routes ---

    async def handle(self, request: Request) -> Response | EventStream:
        """Answer one request."""
        answer = await self._handle_open(request)
        if answer is not None:
            return answer
        if self.app.auth is not None and self._user_of(request) is None:
            detail = {"error": "Not authenticated", "auth_message": None}
            return Response(401, {"detail": detail})
        return await self._handle_guarded(request)

    async def _handle_open(self, request: Request) -> Response | EventStream | None:
        """Answer a request that needs no login, or give None."""
        route = (request.method, request.path)
        if route == ("POST", "/login"):
            return self._login(request)
        if route == ("POST", "/cancel"):
            return await self._cancel(request)
        if route == ("POST", "/reset"):
            return Response(200, {"success": True})
        if route == ("GET", "/app_id"):
            return Response(200, {"app_id": self.app.app_id})
        if request.method == "GET" and request.path.startswith("/heartbeat/"):
            return Heartbeats(self, request.path.removeprefix("/heartbeat/"))
        if request.method == "POST" and request.path.startswith("/stream/"):
            return self._input(request)
        return None

    async def _handle_guarded(self, request: Request) -> Response | EventStream:
        route = (request.method, request.path)
        if route == ("GET", "/config"):
            return Response(200, self.app.config(self.url, username=self._user_of(request)))
        if route == ("GET", "/info"):
            all_endpoints = request.query.get("all_endpoints", "").lower() == "true"
            return Response(200, self.app.info(all_endpoints=all_endpoints))
        if route == ("POST", "/queue/join"):
            return await self._join(request)
        if route == ("GET", "/queue/data"):
            return self._listen(request)
        if route == ("GET", "/queue/status"):
            size = len(self.waiting)
            message: Message = {"msg": "estimation", "event_id": None, "rank": None}
            return Response(200, {**message, "queue_size": size, "rank_eta": None})
        if route == ("POST", "/upload"):
            return self._upload(request)
        if request.method == "GET" and request.path.startswith("/file="):
            path = urllib.parse.unquote(request.path.removeprefix("/file="))
            return self._download(path, request)
        if request.method == "GET" and request.path.startswith("/stream/"):
            return self._stream_media(urllib.parse.unquote(request.path.removeprefix("/stream/")))
        return Response(404, {"detail": "Not Found"})

    def _user_of(self, request: Request) -> str | None:
        cookies = http.cookies.SimpleCookie(request.headers.get("cookie", ""))
        for name in (f"access-token-{self._cookie_id}", f"access-token-unsecure-{self._cookie_id}"):
            if name in cookies and cookies[name].value in self._tokens:
                return self._tokens[cookies[name].value]
        return None

    def _login(self, request: Request) -> Response:
        if self.app.auth is None:
            return Response(302, headers=[("location", self.url)])
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if (form.get("username"), form.get("password")) != self.app.auth:
            return Response(400, {"detail": "Incorrect credentials."})
        token = secrets.token_urlsafe(16)
        self._tokens[token] = form["username"]
        cookies = [
            f"access-token-{self._cookie_id}={token}; HttpOnly; Path=/; SameSite=none; Secure",
            f"access-token-unsecure-{self._cookie_id}={token}; HttpOnly; Path=/; SameSite=lax",
        ]
        headers = [("set-cookie", cookie) for cookie in cookies]
        return Response(200, {"success": True}, headers=headers)

    async def _join(self, request: Request) -> Response:
        body = parsed(request)
        invalid = invalid_fields(body, {"data": list}, {"fn_index": int, "session_hash": str})
        if invalid:
            return Response(422, {"detail": invalid})
        if body.get("session_hash") is None:
            return Response(400, {"detail": "Session hash not found."})
        if self.stopped:
            return Response(503, {"detail": "Queue is stopped."})
        if body.get("fn_index") is None:
            return Response(400, {"detail": "No function index provided."})
        size, limit = len(self.waiting), self.app.max_queue_size
        if limit is not None and size >= limit:
            detail = f"Queue is full. Max size is {limit} and size is {size}."
            return Response(503, {"detail": detail})
        endpoint = next((e for e in self.app.endpoints if e.fn_index == body["fn_index"]), None)
        if endpoint is None or not endpoint.backend:
            # An exception in the server: it answers, and then drops the connection.
            return Response(500, b"Internal Server Error", close=True)
        if endpoint.validator is not None:
            refusal = validate(endpoint, body["data"])
            if refusal is not None:
                return refusal

        event = Event(self, endpoint, body)
        self._messages.setdefault(event.session_hash, MessageQueue())
        self._pending.setdefault(event.session_hash, set()).add(event.event_id)
        self.events[event.event_id] = event
        self.joined(event)
        if endpoint.cached:
            event.started_at = trio.current_time()
            await event.run()
            event.finished.set()
        else:
            queue = self._waiting.setdefault(
                endpoint.concurrency_id, Waiting(endpoint.concurrency_limit)
            )
            queue.events.append(event)
            self._broadcast(queue, after=len(queue.events) - 1)
            self._dispatch(queue)
        return Response(200, {"event_id": event.event_id})

    def _input(self, request: Request) -> Response:
        event_id, _, close = request.path.removeprefix("/stream/").partition("/")
        event = self.events.get(event_id)
        if event is None or event.ended:
            return Response(404)
        event.take_input(None if close else parsed(request))
        return Response(200, {"msg": "success"})

    def _broadcast(self, queue: Waiting, after: int = 0) -> None:
        """Tell the waiting events, from a place on, that place."""
        free_in: float | None = 0.0
        if not queue.has_room:
            ends = [
                event.started_at + mean - trio.current_time()
                for event in queue.running
                if (mean := self.run_times.mean(event.endpoint)) is not None
            ]
            known = len(ends) == len(queue.running)
            free_in = max(min(ends, default=0.0), 0.0) if known else None
        ahead: float | None = 0.0
        for rank, event in enumerate(queue.events):
            mean = self.run_times.mean(event.endpoint)
            eta = None
            if mean is not None and ahead is not None and free_in is not None:
                eta = mean + ahead + free_in
            if rank >= after and not event.endpoint.manual:
                event.send_nowait(
                    {
                        "msg": "estimation",
                        "rank": rank,
                        "queue_size": len(queue.events),
                        "rank_eta": eta,
                    }
                )
            if queue.limit is None:
                ahead = 0.0
            elif ahead is not None and mean is not None:
                ahead += mean / queue.limit
            else:
                ahead = None

    def _dispatch(self, queue: Waiting) -> None:
        """Start waiting events for as long as there is room."""
        while queue.events and queue.has_room and not self.stopped:
            event = queue.events.pop(0)
            event.started_at = trio.current_time()
            queue.running.append(event)
            self._nursery.start_soon(self._run, queue, event)
            self._broadcast(queue)

    async def _run(self, queue: Waiting, event: Event) -> None:
        try:
            await event.run()
        finally:
            queue.running.remove(event)
            event.finished.set()
        if not self.eager:
            # As Gradio's worker: it looks again after a millisecond.
            await trio.sleep(0.001)
        self._dispatch(queue)

    async def _cancel(self, request: Request) -> Response:
        body = parsed(request)
        invalid = invalid_fields(body, {"session_hash": str, "fn_index": int, "event_id": str})
        if invalid:
            return Response(422, {"detail": invalid})
        (self.cancels if body["fn_index"] >= 0 else self.dequeues).append(body)
        if self.deaf_to_cancel:
            return Response(200, {"success": True})
        session_hash, event_id = body["session_hash"], body["event_id"]
        if event_id in self.events:
            self.cancelling(self.events[event_id])
        # Every run of that function in that session, not only the one that is named.
        killed = [
            event
            for event in self.running
            if (event.session_hash, event.endpoint.fn_index) == (session_hash, body["fn_index"])
        ]
        for event in killed:
            event.cancel_scope.cancel()
        for event in killed:
            await event.finished.wait()
        for queue in self._waiting.values():
            for event in queue.events:
                if event.event_id == event_id:
                    queue.events.remove(event)
                    event.state = "removed"
                    event.finished.set()
                    break
        # Only the one that is named is told; the others stay pending for ever.
        if event_id in self._pending.get(session_hash, ()):
            self.post(
                session_hash,
                {
                    "msg": "process_completed",
                    "event_id": event_id,
                    "output": {},
                    "success": True,
                    "title": None,
                    "used_cache": None,
                    "cache_duration": None,
                    "avg_time": None,
                },
            )
        return Response(200, {"success": True})

    def _listen(self, request: Request) -> Response | EventStream:
        session_hash = request.query.get("session_hash")
        if session_hash is None:
            where = {"type": "missing", "loc": ["query", "session_hash"]}
            detail = {**where, "msg": "Field required", "input": None}
            return Response(422, {"detail": [detail]})
        return SessionStream(self, session_hash)

    def _upload(self, request: Request) -> Response:
        header = b"content-type: " + request.headers.get("content-type", "").encode()
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        form = parser.parsebytes(header + b"\r\n\r\n" + request.body)
        paths: list[str] = []
        for part in form.iter_parts():
            if part.get_param("name", header="content-disposition") != "files":
                continue
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            limit = self.app.max_file_size
            if limit is not None and len(content) > limit:
                return Response(413, {"detail": f"File size exceeded maximum allowed size {limit}"})
            name = (part.get_filename() or "file").replace("\\", "/").rpartition("/")[2]
            path = f"/srv/tmp/{hashlib.sha256(content).hexdigest()}/{name}"
            self.files[path] = content
            paths.append(path)
        return Response(200, paths)

    def _download(self, path: str, request: Request) -> Response:
        """Serve a file as Starlette's FileResponse does: with ETag, and from a byte on."""
        if path not in self.files:
            return Response(403, {"detail": f"File not allowed: {path}."})
        content = self.files[path]
        headers = {"content-type": "application/octet-stream"}
        status = 200
        if self.ranges:
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            headers |= {"accept-ranges": "bytes", "etag": etag}
            wanted = request.headers.get("range", "")
            if wanted and request.headers.get("if-range", etag) == etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                status = 206
                headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                content = content[start:]
        headers |= self.file_headers.get(path, {})
        return Response(status, content, headers=[*headers.items()])

    def _stream_media(self, path: str) -> Response:
        if path not in self.media:
            return Response(404, b"")
        return Response(200, self.media[path], headers=[("content-type", "audio/aac")])

    # --- Sessions ---

    async def next_message(self, session_hash: str) -> Message | bytes | None:
        """Pop a session's next message; give None when there was none for a while."""
        queue = self._messages.get(session_hash)
        if queue is None:
            raise KeyError(session_hash)
        message = await queue.get(POLL_SECONDS)
        if self.stopped:
            return {
                "msg": "unexpected_error",
                "event_id": None,
                "message": "Server stopped unexpectedly.",
                "session_not_found": False,
                "success": False,
            }
        return message

    def delivered(self, session_hash: str, message: Message) -> bool:
        """Note that a message went out, and tell whether that was the session's last."""
        if message["msg"] != "process_completed":
            return False
        pending = self._pending.get(session_hash, set())
        pending.discard(message["event_id"])
        return not pending

    def clean_session(self, session_hash: str) -> None:
        """Drop what a session has in the queue, as when its stream breaks."""
        self._messages.pop(session_hash, None)
        for event in self.running:
            if event.session_hash == session_hash:
                # A plain function runs on, unheard; a generator stops at its next yield.
                # Its id stays pending for ever.
                event.alive = False
        for queue in self._waiting.values():
            for event in [e for e in queue.events if e.session_hash == session_hash]:
                queue.events.remove(event)
                event.state = "removed"
                event.finished.set()
                self._pending[session_hash].discard(event.event_id)
        if not self._pending.get(session_hash):
            self._pending.pop(session_hash, None)
