"""`ScriptedApp`: a Gradio app in memory, made of functions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from ._files import AppFiles
from ._function import FunctionRun
from ._served import ServedApp
from ._server.description import App, Visibility
from ._server.event import Event
from ._server.server import AppServer
from ._signature import read_signature
from .components import Component

T = TypeVar("T", bound=Callable[..., Any])

Validator = Callable[..., Sequence[tuple[bool, str] | None]]
"""Receives the inputs of a call; returns for each whether it is valid, and the message if not."""


class ScriptedApp(ServedApp):
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
        self._files: AppFiles | None = None

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
            if any(endpoint.name == name for endpoint in self._app.endpoints):
                raise ValueError(f"the app already has an endpoint /{name}")

            async def script(event: Event) -> None:
                assert self._files is not None
                call = self._calls_by_event[event]
                self._begun()
                run = FunctionRun(call, function, signature, self._files)
                await run.run(show_error=self._app.show_error)

            self._app.add(
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
            return function

        return decorate

    # --- Its run ---

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[App, None]:
        yield self._app

    def _begin(self, server: AppServer) -> None:
        super()._begin(server)
        self._files = AppFiles(server.storage.files, server.url + server.app.api_prefix)

    def _end(self, server: AppServer) -> None:
        super()._end(server)
        assert self._files is not None
        self._files.close()
        self._files = None

    def _arguments_of(self, event: Event) -> dict[str, Any]:
        endpoint = event.endpoint
        return {
            name: value
            # A caller other than triojob may send fewer values than there are inputs.
            for name, component, value in zip(
                endpoint.parameter_names, endpoint.inputs, event.data, strict=False
            )
            if not component.is_state
        }
