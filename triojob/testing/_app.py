"""`ScriptedApp`: a Gradio app in memory, made of functions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx
import trio

from triojob import Client

from .._core.lifetime import NurseryUnwrapper
from .._core.runs import require_task
from ._calls import Call, Recorder
from ._files import AppFiles
from ._function import FunctionRun
from ._server.description import App, Visibility
from ._server.event import Event
from ._server.http import ServerResponse
from ._server.server import AppServer
from ._signature import read_signature
from .components import Component

T = TypeVar("T", bound=Callable[..., Any])

Validator = Callable[..., Sequence[tuple[bool, str] | None]]
"""Receives the inputs of a call; returns for each whether it is valid, and the message if not."""


class ScriptedApp(Recorder):
    """A Gradio app that runs in this process and uses Gradio's own protocol.

    Endpoints are functions; a real `Client` calls them, over connections in memory.
    Nothing in it waits for real time, so it works with `trio.testing.MockClock`.

    ``async with app`` runs it; `client` also runs it if necessary.
    Each run starts with no sessions, State, files and recorded calls.
    Leaving ends it like a killed process; the recorded calls stay available until the next run.
    If the body raises, its exception is raised as it is, not in a group.

    Args:
        title: The app's title.
        auth: User name and password of the required login.
        concurrency_limit: How many calls of one endpoint can run at once, unless the endpoint has
            its own limit; None for no limit.  1 as in Gradio.
        max_queue_size: How many calls can wait, over all endpoints; further calls are refused with
            `QueueFull`.  None for any number.
        show_error: Whether callers receive the message of an exception other than `AppError`.
        max_file_size: The maximum bytes of one upload, or None.
        heartbeat_interval: Seconds between the heartbeats on an open event stream.
    """

    def __init__(
        self,
        *,
        title: str = "scripted",
        auth: tuple[str, str] | None = None,
        concurrency_limit: int | None = 1,
        max_queue_size: int | None = None,
        show_error: bool = False,
        max_file_size: int | None = None,
        heartbeat_interval: float = 15.0,
    ) -> None:
        super().__init__()
        self._app = App(
            title=title,
            auth=auth,
            concurrency_limit=concurrency_limit,
            max_queue_size=max_queue_size,
            show_error=show_error,
            max_file_size=max_file_size,
            heartbeat_interval=heartbeat_interval,
        )
        self._names: dict[int, str] = {}
        self._server: AppServer | None = None
        self._files: AppFiles | None = None
        self._lifetime: AbstractAsyncContextManager[str] | None = None

    def endpoint(
        self,
        api_name: str | None = None,
        *,
        parameters: Mapping[str, Component] | None = None,
        returns: Sequence[Component] | None = None,
        concurrency_limit: int | Literal["default"] | None = "default",
        validator: Validator | None = None,
        visibility: Visibility = "public",
    ) -> Callable[[T], T]:
        """Make a function an endpoint: ``@app.endpoint("/translate")``.

        It can be async or not (then it must not block), a function or a generator function.
        Its annotations determine the app's description of its inputs and outputs: `str`, `int`,
        `float`, `bool`, ``Literal["a", "b"]``, a list of these, `pathlib.Path` for a file and
        ``list[Path]`` for several; any other type is JSON.  A tuple is several outputs.
        In the function, `triojob.report` sends progress and logs; raising `AppError` corresponds to
        raising ``gr.Error`` in an app, and returning a `PropertyUpdate` to returning ``gr.update``.

        Args:
            api_name: Its name, with or without the slash; None for the function's name.
            parameters: Components of parameters, by name; they override the annotations: `gr.State`
                by ``{"count": components.state(0)}``.
            returns: The components of its outputs; they override the annotation.
            concurrency_limit: How many of its calls can run at once; None for no limit.
            validator: Refuses inputs before the call is queued, as a validator of ``gr.validate``
                does.
            visibility: Whether the app lists it, as in Gradio.

        Returns:
            A decorator, which returns the function unchanged.

        Raises:
            TypeError: The function has parameters that a Gradio function can't have, or has no
                name.
            ValueError: There is an endpoint of that name.
        """

        def decorate(function: T) -> T:
            signature = read_signature(function, parameters or {}, returns)
            name = str(api_name or getattr(function, "__name__", "")).removeprefix("/")
            if not name:
                raise TypeError(f"{function!r} has no name; pass one: endpoint('/name')")
            if f"/{name}" in self._names.values():
                raise ValueError(f"the app already has an endpoint /{name}")

            async def script(event: Event) -> None:
                assert self._files is not None
                call = self._calls_by_event[event]
                self._begun()
                run = FunctionRun(call, function, signature, self._files)
                await run.run(show_error=self._app.show_error)

            endpoint = self._app.add(
                name,
                script,
                inputs=signature.inputs,
                outputs=signature.outputs,
                generator=signature.streams,
                parameter_names=signature.names,
                optional=signature.optional,
                concurrency_limit=concurrency_limit,
                validator=validator,
                visibility=visibility,
                description=signature.description,
            )
            self._names[endpoint.fn_index] = f"/{name}"
            return function

        return decorate

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
    async def serve(self) -> AsyncGenerator[str, None]:
        """Serve it on a socket of this machine: ``async with app.serve() as url``.

        Use it for code that only takes a URL, for threads and for other clients.
        It uses a real network, so it does not work with a `trio.testing.MockClock`.
        """
        async with self._live(memory=False) as url:
            yield url

    async def __aenter__(self) -> ScriptedApp:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        lifetime = self._live(memory=True)
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
    async def _live(self, *, memory: bool) -> AsyncGenerator[str, None]:
        if self._server is not None:
            raise RuntimeError("the app is already running; exit its block first")
        require_task("a ScriptedApp")
        with NurseryUnwrapper(nurseries=1) as body:
            async with trio.open_nursery() as nursery:
                server = AppServer(self._app, nursery)
                server.queue.on_join = self._joined
                server.queue.on_cancel = self._cancel_requested
                if memory:
                    server.serve_in_memory()
                else:
                    await server.listen()
                self._begin(server)
                try:
                    with body.watched():
                        yield server.url
                finally:
                    self._end(server)
                    nursery.cancel_scope.cancel()

    def _begin(self, server: AppServer) -> None:
        self._forget()
        self._calls_by_event: dict[Event, Call] = {}
        self._session_numbers: dict[str, int] = {}
        self._server = server
        self._files = AppFiles(server.storage.files, server.url + server.app.api_prefix)

    def _end(self, server: AppServer) -> None:
        for call in self.calls:
            call.left = call.state in ("waiting", "running")
        server.die()
        assert self._files is not None
        self._files.close()
        self._server = self._files = None

    def _running(self) -> AppServer:
        if self._server is None:
            raise RuntimeError("run the app first: async with app")
        return self._server

    def __repr__(self) -> str:
        where = "(does not run)" if self._server is None else self._server.url
        return f"<ScriptedApp {where} {len(self._names)} endpoints, {len(self.calls)} calls>"

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
        endpoint = event.endpoint
        arguments = {
            name: value
            # A caller other than triojob may send fewer values than there are inputs.
            for name, component, value in zip(
                endpoint.parameter_names, endpoint.inputs, event.data, strict=False
            )
            if not component.is_state
        }
        session = self._session_numbers.setdefault(
            event.session_hash, len(self._session_numbers) + 1
        )
        call = Call(
            self._names[event.endpoint.fn_index],
            arguments,
            session,
            trio.current_time(),
            event,
        )
        self._came_in(len(self._session_numbers), call)
        self._calls_by_event[event] = call

    def _cancel_requested(self, event: Event) -> None:
        self.cancellations.append(self._calls_by_event[event])
