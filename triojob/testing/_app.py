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
"""Takes the inputs of a call; gives for each whether it is right, and what to say if not."""


class ScriptedApp(Recorder):
    """A Gradio app that lives in this process and speaks Gradio's own protocol.

    Endpoints are functions; a real `Client` calls them, over connections in memory.
    Nothing in it waits for real time, so it goes with `trio.testing.MockClock`.

    ``async with app`` runs it; so does `client` by itself.
    Each run begins anew: sessions, State, files and what was recorded are of that run.
    Leaving ends it as a killed process ends, and what was recorded can be looked at until the
    next run.
    If the body raises, its exception passes through bare.

    Args:
        title: The app's title.
        auth: User name and password to ask for.
        concurrency_limit: How many calls of one endpoint may run at once, unless that says
            otherwise; None for no limit.  1 as in Gradio.
        max_queue_size: How many calls may wait, over all endpoints; more are refused with
            `QueueFull`.  None for any number.
        show_error: Whether callers are told what a function raised that is no `AppError`.
        max_file_size: How many bytes one upload may have, or None.
        heartbeat_interval: Seconds between the signs of life on an open event stream.
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

        It may be async or not (then it must not block), a function or a generator function.
        Its annotations say what the app tells of its inputs and outputs: `str`, `int`, `float`,
        `bool`, ``Literal["a", "b"]``, a list of those, `pathlib.Path` for a file and
        ``list[Path]`` for several; anything else is JSON.  A tuple is several outputs.
        In it, `triojob.report` tells of progress and logs; raising `AppError` is what raising
        ``gr.Error`` is in an app, and giving a `PropertyUpdate` what giving ``gr.update`` is.

        Args:
            api_name: Its name, with or without the slash; None for the function's.
            parameters: Components of parameters, by name, over the annotations: `gr.State` by
                ``{"count": components.state(0)}``.
            returns: The components of its outputs, over the annotation.
            concurrency_limit: How many of its calls may run at once; None for no limit.
            validator: Refuses inputs before the call is queued, as one of ``gr.validate``.
            visibility: Who is told of it.

        Returns:
            A decorator, which returns the function as it was.

        Raises:
            TypeError: The function has parameters that no Gradio function has, or no name.
            ValueError: There is an endpoint of that name.
        """

        def decorate(function: T) -> T:
            signature = read_signature(function, parameters or {}, returns)
            name = str(api_name or getattr(function, "__name__", "")).removeprefix("/")
            if not name:
                raise TypeError(f"{function!r} has no name: say one, endpoint('/name')")
            if f"/{name}" in self._names.values():
                raise ValueError(f"the app has an endpoint /{name} already")

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
            RuntimeError: It does not run.
        """
        return self._running().url

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Return what reaches it in memory: ``Client(app.url, transport=app.transport())``.

        Raises:
            RuntimeError: It does not run.
        """
        # As many connections as are wanted: waiting inside a pool is nothing to be tested here.
        return self._running().transport(limits=httpx.Limits(max_keepalive_connections=20))

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client, None]:
        """Open a client of it: ``async with app.client() as client``.

        If the app doesn't run, it does so for as long as the client is open.

        Args:
            options: As for `Client`.
        """
        async with AsyncExitStack() as stack:
            if self._server is None:
                await stack.enter_async_context(self)
            # Both unwrap their nurseries, so that an exception of the body stays what it is.
            client = Client(self.url, transport=self.transport(), **options)
            yield await stack.enter_async_context(client)

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[str, None]:
        """Serve it on a socket of this machine: ``async with app.serve() as url``.

        For code that takes nothing but a URL, for threads and for other clients.
        There is a real network then, so not with a `trio.testing.MockClock`.
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
            raise RuntimeError("the app runs already; leave that run first")
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

    # --- What happens to it ---

    def refuse(
        self, status: int = 429, *, times: int = 1, retry_after: float | None = None
    ) -> None:
        """Refuse the next calls with an HTTP status, such as 429, 502 or 503.

        Args:
            times: How many calls.
            retry_after: Seconds that the header ``Retry-After`` is to say.
        """
        headers = [] if retry_after is None else [("retry-after", f"{retry_after:g}")]
        refusal = ServerResponse(status, {"detail": "refused by the test"}, headers)
        self._running().refusals += [refusal] * times

    def drop_connections(self) -> None:
        """Break every open connection at once; the app goes on."""
        self._running().listener.kill_connections()

    def kill(self) -> None:
        """End it as a killed process ends: connections break, and no new ones are made."""
        self._running().die()

    def stop(self) -> None:
        """Shut it down as Gradio does: whoever listens is told so, and new calls are refused.

        It tells within 10 seconds, which is how often it looks.
        """
        self._running().queue.stopped = True

    def restart(self) -> None:
        """Start it anew, whatever became of it: it knows nothing of sessions, State and calls.

        What was recorded stays.
        """
        server = self._running()
        server.queue.stopped = False
        server.restart()

    # --- What the queue calls ---

    def _joined(self, event: Event) -> None:
        endpoint = event.endpoint
        arguments = {
            name: value
            # A caller other than triojob's may send fewer values than there are inputs.
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
