"""A small Gradio server for fault tests, on Trio: deterministic, in-process, scripted by the test.

It speaks Gradio 6.31's protocol as a client meets it, and keeps to Gradio's semantics also where
they hurt: one queue of messages per session, popped by whoever listens; a cancel that kills the
siblings without a word; a session that is wiped when its stream breaks.
`test_scripted_server.py` holds it to recordings of the real thing.

A test says what an endpoint does by a *script*, an async function that gets an `Event`::

    async with open_server() as server:

        @server.app.endpoint(inputs=["name"])
        async def greet(event: Event) -> None:
            await event.completed([f"Hello {event.data[0]}!"])

The place in the queue and the start are told by themselves (unless `manual=True`).
A script that returns without having completed is completed with what it yielded last, as a Gradio
generator that ends.
"""

from __future__ import annotations

import contextlib
import copy
import email.message
import email.parser
import email.policy
import hashlib
import http.cookies
import math
import secrets
import ssl
import urllib.parse
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import trio

from tests.servers.description import App, Component, Endpoint
from tests.servers.diffing import edits_between
from tests.servers.faults import Fault
from tests.servers.http_server import (
    BrokenOff,
    Connection,
    EventStream,
    Request,
    Response,
    compact_json,
)
from tests.servers.memory_network import MemoryNetwork, MemoryPeer

Message = dict[str, Any]
State = Literal["waiting", "running", "finished", "failed", "cancelled", "removed", "abandoned"]

# How long Gradio's stream waits for a message before it looks around.
POLL_SECONDS = 10.0


class GradioError(Exception):
    """What a script raises to fail as by `gr.Error`."""

    def __init__(
        self,
        message: str,
        *,
        title: str = "Error",
        duration: float | None = 10,
        visible: bool = True,
    ) -> None:
        super().__init__(message)
        self.output = {
            "error": message,
            "duration": duration,
            "visible": visible,
            "title": title,
        }


class _Abandoned(Exception):
    """Stops a generator whose client went away, at its next yield."""


def frame(message: Message) -> bytes:
    """Put one message into one frame of an event stream."""
    return b"data: " + compact_json(message) + b"\n\n"


def progress_unit(unit: float | tuple[int, int | None] | Mapping[str, Any]) -> dict[str, Any]:
    """Complete a unit, given by its fields or as to `gr.Progress`: a fraction, index and length."""
    empty = {"index": None, "length": None, "unit": "steps", "progress": None, "desc": None}
    if isinstance(unit, Mapping):
        return {**empty, **unit}
    if isinstance(unit, tuple):
        return {**empty, "index": unit[0], "length": unit[1]}
    return {**empty, "progress": float(unit)}


class Event:
    """One call of an endpoint: what the script hears about it, and how it answers."""

    def __init__(self, server: ScriptedServer, endpoint: Endpoint, body: dict[str, Any]) -> None:
        self.server = server
        self.endpoint = endpoint
        self.body = body
        self.event_id = uuid.uuid4().hex
        self.session_hash: str = body["session_hash"]
        self.state: State = "waiting"
        self.alive = True
        """Whether its messages still go anywhere; not after its client's stream broke."""
        self.ended = False
        """Whether a process_completed was sent."""
        self.finished = trio.Event()
        """Set when the run is over, however it went."""
        self.cancel_scope = trio.CancelScope()
        self.steps = 0
        """How many outputs it yielded."""
        self.input_closed = False
        self._input_came = trio.Event()
        self.render_config: dict[str, Any] | None = None
        """What its next outputs say that it has rendered."""
        self._silent = False
        self._last: list[Any] | None = None
        self._step_started = 0.0
        self.started_at = 0.0

    def __repr__(self) -> str:
        return f"<Event {self.endpoint.name} {self.event_id[:6]} {self.state}>"

    @property
    def data(self) -> list[Any]:
        """One value for each input; of a State the session's value."""
        values = list(self.body["data"])
        for index, component in enumerate(self.endpoint.inputs[: len(values)]):
            if component.is_state:
                values[index] = self.server.state_of(self.session_hash, component)
        return values

    # --- What it sends ---

    def send_nowait(self, message: Message) -> None:
        """Put a message of this event into its session's queue."""
        msg, rest = message["msg"], {k: v for k, v in message.items() if k != "msg"}
        if self.alive:
            self.server.post(self.session_hash, {"msg": msg, "event_id": self.event_id, **rest})

    async def send(self, message: Message) -> None:
        """Send any message at all, with this event's id."""
        self.send_nowait(message)
        await trio.lowlevel.checkpoint()

    async def estimation(
        self, rank: int | None = 0, size: int = 1, eta: float | None = None
    ) -> None:
        await self.send({"msg": "estimation", "rank": rank, "queue_size": size, "rank_eta": eta})

    async def starts(self, eta: float | None = None) -> None:
        await self.send({"msg": "process_starts", "eta": eta})

    async def progress(
        self, units: Iterable[float | tuple[int, int | None] | Mapping[str, Any]]
    ) -> None:
        """Report progress. Unlike Gradio, which samples it, this sends each report."""
        data = [progress_unit(unit) for unit in units]
        await self.send({"msg": "progress", "progress_data": data})

    async def log(
        self,
        text: str,
        *,
        level: str = "info",
        title: str | None = None,
        duration: float | None = 10.0,
        visible: bool = True,
    ) -> None:
        await self.send(
            {
                "msg": "log",
                "log": text,
                "level": level,
                "duration": duration,
                "visible": visible,
                "title": level.capitalize() if title is None else title,
            }
        )

    async def generating(self, data: list[Any], *, success: bool = True) -> None:
        """Yield outputs, one for each component: whole the first time, as edits from then on."""
        visible = self._take(data)
        edits = self.server.app.sends_edits and not self.body.get("simple_format")
        if self._last is not None and edits:
            wire = [edits_between(old, new) for old, new in zip(self._last, visible, strict=True)]
        else:
            wire = visible
        self._last = visible
        self.steps += 1
        output = self._output(wire, is_generating=True)
        await self.send(
            {
                "msg": "process_generating",
                "output": output,
                "success": success,
                "time_limit": None,
            }
        )
        if not self.alive:
            raise _Abandoned

    async def streaming(self, data: list[Any]) -> None:
        """Answer one of several inputs, of an endpoint with `connection: "stream"`."""
        output = self._output(self._take(data), is_generating=True)
        await self.send(
            {"msg": "process_streaming", "output": output, "success": True, "time_limit": None}
        )
        if not self.alive:
            raise _Abandoned

    async def next_input(self, time_limit: float = 30) -> bool:
        """Wait for the next input, which is in `data` then; tell whether there is one."""
        with trio.move_on_after(time_limit) as scope:
            await self._input_came.wait()
        self._input_came = trio.Event()
        return not (scope.cancelled_caught or self.input_closed)

    def take_input(self, body: dict[str, Any] | None) -> None:
        """Take the next input, or None for the end of inputs."""
        if body is None:
            self.input_closed = True
        else:
            # As in Gradio, an input that comes too early takes the place of the one before.
            self.body = {**self.body, "data": body["data"]}
        self._input_came.set()

    async def generating_raw(self, data: list[Any]) -> None:
        """Send outputs as they are: edits of the test's own making, say."""
        output = self._output(copy.deepcopy(data), is_generating=True)
        await self.send(
            {"msg": "process_generating", "output": output, "success": True, "time_limit": None}
        )

    async def completed(self, data: list[Any]) -> None:
        """Complete with outputs, one for each component."""
        self._complete(self._take(data))
        await trio.lowlevel.checkpoint()

    async def fail(self, output: Mapping[str, Any]) -> None:
        """Fail with an error dict, such as `{"error": "boom", "visible": True}`."""
        self._fail(output)
        await trio.lowlevel.checkpoint()

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, in the place of a frame."""
        if self.alive:
            self.server.inject(self.session_hash, data)
        await trio.lowlevel.checkpoint()

    def never_complete(self) -> None:
        """Send no completion when the script returns."""
        self._silent = True

    # --- How it runs; for the server ---

    def _take(self, data: list[Any]) -> list[Any]:
        """Keep the values of State components, and give what is sent in their stead."""
        values = copy.deepcopy(list(data))
        for index, component in enumerate(self.endpoint.outputs[: len(values)]):
            if component.is_state:
                self.server.set_state(self.session_hash, component, values[index])
                values[index] = None
        return values

    def _output(self, data: list[Any], *, is_generating: bool) -> dict[str, Any]:
        now = trio.current_time()
        duration = now - self._step_started
        self._step_started = now
        return {
            "data": data,
            "is_generating": is_generating,
            "duration": duration,
            "average_duration": self.server.step_times.add(self.endpoint, duration),
            "render_config": self.render_config,
            "changed_state_ids": [],
            "used_cache": None,
        }

    def _complete(self, data: list[Any]) -> None:
        output = self._output(data, is_generating=False)
        cached = self.endpoint.cached
        self._end(
            "finished",
            output,
            success=True,
            used_cache="full" if cached else None,
            cache_duration=output["duration"],
            avg_time=output["average_duration"],
        )

    def _fail(self, output: Mapping[str, Any]) -> None:
        midway = self.steps > 0
        self._end(
            "failed",
            dict(output),
            success=False,
            title=None if midway else output.get("title", "Error"),
            # Gradio reads this from whatever it sends; in an error that is how long to show it.
            cache_duration=output.get("duration") if midway else None,
        )

    def _end(
        self,
        state: State,
        output: dict[str, Any],
        *,
        success: bool,
        title: str | None = None,
        used_cache: str | None = None,
        cache_duration: float | None = None,
        avg_time: float | None = None,
    ) -> None:
        self.ended = True
        self.state = state
        self.send_nowait(
            {
                "msg": "process_completed",
                "output": output,
                "success": success,
                "title": title,
                "used_cache": used_cache,
                "cache_duration": cache_duration,
                "avg_time": avg_time,
            }
        )

    async def run(self) -> None:
        """Run the script to its end, or until it is cancelled."""
        self.state = "running"
        self._step_started = trio.current_time()
        with self.cancel_scope:
            if not self.endpoint.manual and not self.endpoint.cached:
                self.send_nowait(
                    {
                        "msg": "process_starts",
                        "eta": self.server.run_times.mean(self.endpoint),
                    }
                )
            try:
                await self.endpoint.script(self)
            except GradioError as error:
                self._fail(error.output)
            except _Abandoned:
                self.state = "abandoned"
            else:
                if not self.ended and not self._silent:
                    self._complete(self._last or [None] * len(self.endpoint.outputs))
        self._settle(trio.current_time() - self.started_at)

    def _settle(self, seconds: float) -> None:
        """Say how the run went, where it did not say so itself."""
        if self.cancel_scope.cancelled_caught:
            self.state = "cancelled"
        elif self.state == "finished":
            self.server.run_times.add(self.endpoint, seconds)
        elif self.state == "running":
            self.state = "finished"


class _Means:
    """Mean durations per endpoint."""

    def __init__(self) -> None:
        self._sums: dict[Endpoint, tuple[float, int]] = {}

    def add(self, endpoint: Endpoint, seconds: float) -> float:
        total, count = self._sums.get(endpoint, (0.0, 0))
        self._sums[endpoint] = (total + seconds, count + 1)
        return (total + seconds) / (count + 1)

    def mean(self, endpoint: Endpoint) -> float | None:
        total, count = self._sums.get(endpoint, (0.0, 0))
        return total / count if count else None


class _MessageQueue:
    """A session's messages, each for only one of those who listen."""

    def __init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Message | bytes](math.inf)

    def put(self, message: Message | bytes) -> None:
        self._sender.send_nowait(message)

    async def get(self, timeout: float) -> Message | bytes | None:
        with trio.move_on_after(timeout):
            return await self._receiver.receive()
        return None


class _Waiting:
    """The events that wait for a run of one function, and how many run."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.events: list[Event] = []
        self.running: list[Event] = []

    @property
    def has_room(self) -> bool:
        return self.limit is None or len(self.running) < self.limit


@dataclass
class _FaultRule:
    method: str
    path: str
    faults: list[Fault]
    left: float

    def applies_to(self, request: Request) -> bool:
        if self.left < 1 or request.method != self.method:
            return False
        return request.path == self.path or request.path.startswith(self.path + "/")


class ScriptedServer:
    """Serves an `App` on loopback sockets or in memory, and remembers everything."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        self.app = app
        self.url = ""
        self.network = MemoryNetwork()
        self.requests: list[Request] = []
        self.events: dict[str, Event] = {}
        """Every event that ever joined the queue, by id, in order."""
        self.cancels: list[dict[str, Any]] = []
        """The body of each POST /cancel."""
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
        self.step_times = _Means()
        self.run_times = _Means()
        self._nursery = nursery
        self._messages: dict[str, _MessageQueue] = {}
        self._pending: dict[str, set[str]] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._session_state: dict[str, dict[Component, Any]] = {}
        self._rules: list[_FaultRule] = []
        self._tokens: dict[str, str] = {}
        self._connections: dict[Connection, None] = {}
        self._listeners: list[trio.SocketListener] = []
        self._tls: ssl.SSLContext | None = None
        self._cookie_id = secrets.token_urlsafe(8)

    def __repr__(self) -> str:
        return (
            f"<ScriptedServer {self.url} {len(self.requests)} requests,"
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

    def fault(self, method: str, path: str, *faults: Fault, times: float = math.inf) -> None:
        """Let something go wrong with the next requests to a path (without prefix and query).

        A request meets the oldest rule that still applies to it, and all the faults of that rule.
        """
        self._rules.append(_FaultRule(method, path, list(faults), times))

    def clear_faults(self) -> None:
        self._rules.clear()

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
        self._nursery.start_soon(self._serve_connection, Connection(self, stream, peer))

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

    def take_faults(self, request: Request) -> list[Fault]:
        """Record a request, and say what is to go wrong with it."""
        self.requests.append(request)
        for rule in self._rules:
            if rule.applies_to(request):
                rule.left -= 1
                return rule.faults
        return []

    # --- Routes ---

    async def handle(self, request: Request) -> Response | EventStream:
        """Answer one request."""
        app = self.app
        route = (request.method, request.path)
        username = self._user_of(request)
        # These ask for no login.
        if route == ("POST", "/login"):
            return self._login(request)
        if route == ("POST", "/cancel"):
            return await self._cancel(request)
        if route == ("POST", "/reset"):
            return Response(200, {"success": True})
        if route == ("GET", "/app_id"):
            return Response(200, {"app_id": app.app_id})
        if request.method == "GET" and request.path.startswith("/heartbeat/"):
            return Heartbeats(self, request.path.removeprefix("/heartbeat/"))

        if request.method == "POST" and request.path.startswith("/stream/"):
            return self._input(request)

        if app.auth is not None and username is None:
            detail = {"error": "Not authenticated", "auth_message": None}
            return Response(401, {"detail": detail})
        if route == ("GET", "/config"):
            return Response(200, app.config(self.url, username=username))
        if route == ("GET", "/info"):
            all_endpoints = request.query.get("all_endpoints", "").lower() == "true"
            return Response(200, app.info(all_endpoints=all_endpoints))
        if route == ("POST", "/queue/join"):
            return await self._join(request)
        if route == ("GET", "/queue/data"):
            return self._listen(request)
        if route == ("GET", "/queue/status"):
            size = len(self.waiting)
            message = {"msg": "estimation", "event_id": None, "rank": None}
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
        body = _parsed(request)
        invalid = _invalid_fields(body, {"data": list}, {"fn_index": int, "session_hash": str})
        if invalid:
            return Response(422, {"detail": invalid})
        assert isinstance(body, dict)
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
            refusal = _validate(endpoint, body["data"])
            if refusal is not None:
                return refusal

        event = Event(self, endpoint, body)
        self._messages.setdefault(event.session_hash, _MessageQueue())
        self._pending.setdefault(event.session_hash, set()).add(event.event_id)
        self.events[event.event_id] = event
        if endpoint.cached:
            event.started_at = trio.current_time()
            await event.run()
            event.finished.set()
        else:
            queue = self._waiting.setdefault(
                endpoint.concurrency_id, _Waiting(endpoint.concurrency_limit)
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
        event.take_input(None if close else _parsed(request))
        return Response(200, {"msg": "success"})

    def _broadcast(self, queue: _Waiting, after: int = 0) -> None:
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

    def _dispatch(self, queue: _Waiting) -> None:
        """Start waiting events for as long as there is room."""
        while queue.events and queue.has_room and not self.stopped:
            event = queue.events.pop(0)
            event.started_at = trio.current_time()
            queue.running.append(event)
            self._nursery.start_soon(self._run, queue, event)
            self._broadcast(queue)

    async def _run(self, queue: _Waiting, event: Event) -> None:
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
        body = _parsed(request)
        invalid = _invalid_fields(body, {"session_hash": str, "fn_index": int, "event_id": str})
        if invalid:
            return Response(422, {"detail": invalid})
        assert isinstance(body, dict)
        self.cancels.append(body)
        if self.deaf_to_cancel:
            return Response(200, {"success": True})
        session_hash, event_id = body["session_hash"], body["event_id"]
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


# --- Streams ---


class SessionStream:
    """GET /queue/data."""

    def __init__(self, server: ScriptedServer, session_hash: str) -> None:
        self.server = server
        self.session_hash = session_hash

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        server = self.server
        server.open_streams += 1
        server.streams_made += 1
        server.max_open_streams = max(server.max_open_streams, server.open_streams)
        try:
            yield
        finally:
            server.open_streams -= 1

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        server = self.server
        while True:
            try:
                message = await server.next_message(self.session_hash)
            except KeyError:
                not_found = {
                    "msg": "unexpected_error",
                    "event_id": None,
                    "message": "404: Not Found",
                    "session_not_found": True,
                    "success": False,
                }
                yield "unexpected_error", frame(not_found)
                raise BrokenOff from None
            if message is None:
                continue
            if isinstance(message, bytes):
                yield "", message
                continue
            yield message["msg"], frame(message)
            if server.delivered(self.session_hash, message):
                if server.app.sends_close_stream:
                    yield "close_stream", frame({"msg": "close_stream", "event_id": None})
                return

    async def heartbeats(self) -> None:
        while True:
            await trio.sleep(self.server.app.heartbeat_interval)
            self.server.post(self.session_hash, {"msg": "heartbeat", "event_id": None})

    def disconnected(self) -> None:
        self.server.clean_session(self.session_hash)


class Heartbeats:
    """GET /heartbeat/{session_hash}."""

    def __init__(self, server: ScriptedServer, session_hash: str) -> None:
        self.server = server
        self.session_hash = session_hash

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        self.server.open_heartbeats += 1
        try:
            yield
        finally:
            self.server.open_heartbeats -= 1

    async def frames(self) -> AsyncGenerator[tuple[str, bytes], None]:
        while True:
            yield "", b"data: ALIVE\n\n"
            await trio.sleep(self.server.app.heartbeat_interval)

    async def heartbeats(self) -> None:
        """Nothing: the frames are heartbeats."""

    def disconnected(self) -> None:
        self.server.unloads.append(self.session_hash)


def _parsed(request: Request) -> Any:
    """Parse a JSON body, leaving what is none as text."""
    try:
        return request.json
    except ValueError:
        return request.body.decode(errors="replace")


def _invalid_fields(
    body: Any, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> list[dict[str, Any]]:
    """List what is wrong with a body, as pydantic does."""
    if not isinstance(body, dict):
        text = "Input should be a valid dictionary or object to extract fields from"
        return [{"type": "model_attributes_type", "loc": ["body"], "msg": text, "input": body}]
    words = {list: "list", str: "string", int: "integer"}
    invalid = []
    for name, kind in {**required, **(optional or {})}.items():
        value = body.get(name)
        if name not in body and name in required:
            problem, text, value = "missing", "Field required", body
        elif not (isinstance(value, kind) or (value is None and name not in required)):
            problem, text = f"{words[kind]}_type", f"Input should be a valid {words[kind]}"
        else:
            continue
        invalid.append({"type": problem, "loc": ["body", name], "msg": text, "input": value})
    return invalid


def _validate(endpoint: Endpoint, data: list[Any]) -> Response | None:
    """Ask an endpoint's validator; give the refusal, if it is one."""
    assert endpoint.validator is not None
    try:
        verdicts = endpoint.validator(*data)
    except Exception as error:  # noqa: BLE001 - whatever it raises, Gradio says it in a 400
        return Response(400, {"detail": str(error)})
    details: list[dict[str, Any]] = []
    for name, verdict in zip(endpoint.parameter_names, verdicts, strict=False):
        if verdict is None:
            details.append({"is_valid": True, "message": ""})
        else:
            is_valid, message = verdict
            details.append(
                {
                    "__type__": "validate",
                    "is_valid": is_valid,
                    "message": message,
                    "parameter_name": name,
                }
            )
    if all(detail["is_valid"] for detail in details):
        return None
    return Response(422, {"detail": details})


# --- Opening one ---


@contextlib.asynccontextmanager
async def open_server(
    app: App | None = None, *, memory: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Serve an app on a loopback socket, or in memory.

    What the body raises comes out bare; what a script raises comes out in an `ExceptionGroup`.
    """
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        server = ScriptedServer(app or App(), nursery)
        if memory:
            server.serve_in_memory()
        else:
            await server.listen(tls)
        try:
            yield server
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own failures are none of Exception
            failure = error
        finally:
            server.die()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
