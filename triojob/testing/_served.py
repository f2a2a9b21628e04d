"""`ServedApp`: what the apps of this package have in common, whatever their endpoints do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, TypeVar

import httpx
import trio

from triojob import Client

from .._core.lifetime import NurseryUnwrapper
from .._core.runs import require_task
from ._calls import Call, CallLog
from ._server.description import App
from ._server.event import Event
from ._server.http import ServerResponse
from ._server.server import AppServer

S = TypeVar("S", bound="ServedApp")


class ServedApp(CallLog, ABC):
    """A Gradio app that a server in this process serves, in memory or on a socket.

    ``async with app`` runs it in memory; `client` also runs it if necessary.
    Each run starts with no sessions, State, files and recorded calls.
    Leaving ends it like a killed process; the recorded calls stay available until the next run.
    If the body raises, its exception is raised as it is, not in a group.
    `ScriptedApp`, `RecordedApp` and `record` make such apps, which share all methods that
    `ScriptedApp` has, except for `ScriptedApp.endpoint`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls_by_event: dict[Event, Call] = {}
        self._session_numbers: dict[str, int] = {}
        self._server: AppServer | None = None
        self._lifetime: AbstractAsyncContextManager[str] | None = None

    @abstractmethod
    def _opened(self) -> AbstractAsyncContextManager[App]:
        """Return the app's description; its exit is the end of a run."""

    @abstractmethod
    def _arguments_of(self, event: Event) -> dict[str, Any]:
        """Return the arguments of a call by parameter name."""

    # --- Running ---

    @property
    def url(self) -> str:
        """The address of the app, in memory or on this machine.

        Raises:
            RuntimeError: The app does not run.
        """
        return self._running().url

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Return a transport to it in memory: ``Client(app.url, transport=app.transport())``.

        Raises:
            RuntimeError: The app does not run.
        """
        # The number of connections is not limited: waiting inside a pool is not tested here.
        return self._running().transport(limits=httpx.Limits(max_keepalive_connections=20))

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client, None]:
        """Open a client of it: ``async with app.client() as client``.

        If the app is not running, it runs while the client is open.

        Args:
            options: As for `Client`.
        """
        async with AsyncExitStack() as stack:
            if self._server is None:
                await stack.enter_async_context(self)
            # Both unwrap their nurseries, so that an exception of the body is raised as it is.
            client = Client(self.url, transport=self.transport(), **options)
            yield await stack.enter_async_context(client)

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncGenerator[str, None]:
        """Serve it on a socket of this machine: ``async with app.serve() as url``.

        Use it for code that only takes a URL, for threads and for other clients.
        It uses a real network, so it does not work with a `trio.testing.MockClock`.

        Args:
            port: The port to listen on; 0 for any free port.

        Raises:
            OSError: The port is in use.
        """
        async with self._live(port) as url:
            yield url

    async def __aenter__(self: S) -> S:  # noqa: PYI019 - `Self` is not in the typing of 3.10
        lifetime = self._live(None)
        await lifetime.__aenter__()
        self._lifetime = lifetime
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._lifetime is not None
        lifetime, self._lifetime = self._lifetime, None
        return await lifetime.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _live(self, port: int | None) -> AsyncGenerator[str, None]:
        """Run it, on a port or in memory."""
        if self._server is not None:
            raise RuntimeError("the app is already running; exit its block first")
        require_task(f"a {type(self).__name__}")
        async with self._opened() as app:
            with NurseryUnwrapper(nurseries=1) as body:
                async with trio.open_nursery() as nursery:
                    server = AppServer(app, nursery)
                    server.queue.on_join = self._joined
                    server.queue.on_cancel = self._cancel_requested
                    if port is None:
                        server.serve_in_memory()
                    else:
                        await server.listen(port=port)
                    self._begin(server)
                    try:
                        with body.watched():
                            yield server.url
                    finally:
                        self._end(server)
                        nursery.cancel_scope.cancel()

    def _begin(self, server: AppServer) -> None:
        self._forget()
        self._calls_by_event = {}
        self._session_numbers = {}
        self._server = server

    def _end(self, server: AppServer) -> None:
        for call in self.calls:
            call.left = call.state in ("waiting", "running")
        server.die()
        self._server = None

    def _running(self) -> AppServer:
        if self._server is None:
            raise RuntimeError("run the app first: async with app")
        return self._server

    def __repr__(self) -> str:
        where = "(does not run)" if self._server is None else self._server.url
        return f"<{type(self).__name__} {where} {len(self.calls)} calls>"

    # --- Events in its life ---

    def refuse(
        self, status: int = 429, *, times: int = 1, retry_after: float | None = None
    ) -> None:
        """Refuse the next calls with an HTTP status, such as 429, 502 or 503.

        Args:
            times: How many calls.
            retry_after: Seconds to send in the header ``Retry-After``.
        """
        headers = [] if retry_after is None else [("retry-after", f"{retry_after:g}")]
        refusal = ServerResponse(status, {"detail": "refused by the test"}, headers)
        self._running().refusals += [refusal] * times

    def drop_connections(self) -> None:
        """Break every open connection at once; the app keeps running."""
        self._running().listener.kill_connections()

    def kill(self) -> None:
        """End it like a killed process: connections break, and new ones are refused."""
        self._running().die()

    def stop(self) -> None:
        """Shut it down as Gradio does: notify open streams, and refuse new calls.

        The notification takes up to 10 seconds, which is the interval of its checks.
        """
        self._running().queue.stopped = True

    def restart(self) -> None:
        """Restart it, in whatever state it is: it loses its sessions, State and calls.

        The recorded calls stay.
        """
        server = self._running()
        server.queue.stopped = False
        server.restart()

    # --- Callbacks of the queue ---

    def _joined(self, event: Event) -> None:
        session = self._session_numbers.setdefault(
            event.session_hash, len(self._session_numbers) + 1
        )
        call = Call(
            event.endpoint.shown_name,
            self._arguments_of(event),
            session,
            trio.current_time(),
            event,
        )
        self._came_in(len(self._session_numbers), call)
        self._calls_by_event[event] = call

    def _cancel_requested(self, event: Event) -> None:
        self.cancellations.append(self._calls_by_event[event])


class OpenApp(Protocol):
    """The type of the fixture `recorded_app`."""

    def __call__(
        self,
        src: str,
        name: str | None = None,
        *,
        repeats: bool = False,
        speed: float | None = None,
        **options: Any,
    ) -> ServedApp:
        """Return an app to run, which is recorded, played or live.

        Args:
            src: The app's URL, or the name of a Hugging Face Space.
            name: Added to the test's name in the name of the recording, for tests with several.
            repeats, speed: As for `RecordedApp`.
            options: As for `record`; they are not used in replays.
        """
        ...
