"""An app's description of itself: `/config` and `/info` as of Gradio 6.31, from a few arguments.

Only the parts that a client may read are true to Gradio; the visual properties of components are
samples.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...gradio.protocol.registry import find_protocol
from ..components import Component, button, textbox

Visibility = Literal["public", "undocumented", "private"]

# Names of a client's own arguments: Gradio renames parameters that would collide with them.
RESERVED_NAMES = frozenset({"api_name", "fn_index", "result_callbacks"})


def _components(described: Iterable[Component | str]) -> tuple[Component, ...]:
    return tuple(textbox(item) if isinstance(item, str) else item for item in described)


@dataclass(eq=False)
class AppEndpoint:
    """One function of the app."""

    fn_index: int
    name: str | None
    inputs: tuple[Component, ...]
    outputs: tuple[Component, ...]
    script: Callable[..., Awaitable[None]]
    """Takes an `Event`."""
    generator: bool = False
    parameter_names: tuple[str, ...] = ()
    """The names of the function's parameters, one for each input."""
    optional: frozenset[str] = frozenset()
    """Parameters whose default is None in the function's signature."""
    visibility: Visibility = "public"
    queue: bool | None = True
    backend: bool = True
    concurrency_limit: int | None = None
    concurrency_id: str = ""
    """Endpoints with the same id share limit and queue, as listeners of one function do."""
    validator: Callable[..., Sequence[tuple[bool, str] | None]] | None = None
    cached: bool = False
    """Runs inside the POST, and then sends neither a rank in the queue nor a start."""
    manual: bool = False
    """Sends neither estimation nor process_starts by itself: the script does."""
    relayed: bool = False
    """Its script relays the messages of another app, by `Event.relay`.

    These also decide when a call is admitted, and when it starts."""
    description: str = ""
    oauth_token: Literal["required", "optional"] | None = None
    """Whether its function takes a `gr.OAuthToken`."""
    cancels: tuple[int, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    """Merged over the dependency in /config, for forms that Gradio 6.31 never sends."""

    @property
    def shown_name(self) -> str:
        """The name that users know: ``"/name"`` or ``"fn_index 3"``."""
        return f"fn_index {self.fn_index}" if self.name is None else f"/{self.name}"

    def parameter_name(self, index: int) -> str:
        name = self.parameter_names[index]
        return f"param_{index}" if name in RESERVED_NAMES else name

    def config(self, ids: dict[Component, int], target: int) -> dict[str, Any]:
        return {
            "id": self.fn_index,
            "targets": [[target, "click"]],
            "inputs": [ids[component] for component in self.inputs],
            "outputs": [ids[component] for component in self.outputs],
            "backend_fn": self.backend,
            "js": None,
            "queue": self.queue,
            "api_name": self.name,
            "api_description": None,
            "scroll_to_output": False,
            "show_progress": "full",
            "show_progress_on": None,
            "batch": False,
            "max_batch_size": 4,
            "cancels": list(self.cancels),
            "types": {"generator": self.generator, "cancel": bool(self.cancels)},
            "collects_event_data": False,
            "trigger_after": None,
            "trigger_only_on_success": False,
            "trigger_only_on_failure": False,
            "trigger_mode": "once",
            "api_visibility": self.visibility,
            "rendered_in": None,
            "render_id": None,
            "connection": "sse",
            "time_limit": None,
            "stream_every": 0.5,
            "event_specific_args": None,
            "component_prop_inputs": [],
            "js_implementation": None,
            **self.extra,
        }

    def info(self) -> dict[str, Any]:
        parameters: list[dict[str, Any]] = []
        for index, component in enumerate(self.inputs):
            if component.skip_api:
                continue
            name = self.parameter_name(index)
            has_default = component.value is not None or name in self.optional
            entry = component.info()
            parameters.append(
                {
                    "label": entry["label"],
                    "parameter_name": name,
                    "parameter_has_default": has_default,
                    "parameter_default": component.value,
                    "type": entry["type"],
                    "python_type": entry["python_type"],
                    "component": entry["component"],
                    "example_input": component.example,
                }
            )
        return {
            "parameters": parameters,
            "returns": [output.info() for output in self.outputs if not output.skip_api],
            "api_visibility": self.visibility,
            "description": self.description,
            "code_snippets": {"python": "", "javascript": "", "bash": "", "cli": ""},
            # Present only if it has content.
            **({} if self.oauth_token is None else {"oauth_token": self.oauth_token}),
        }


class App:
    """The app that a scripted server serves. Endpoints can be added while it serves."""

    def __init__(
        self,
        *,
        title: str = "scripted",
        protocol: str = "sse_v3",
        version: str = "6.31.0",
        api_prefix: str = "/gradio_api",
        mount: str = "",
        auth: tuple[str, str] | None = None,
        max_queue_size: int | None = None,
        concurrency_limit: int | None = None,
        show_error: bool = True,
        heartbeat_interval: float = 15.0,
        max_file_size: int | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        """Describe an app without endpoints.

        Args:
            title: The title in /config.
            protocol: Decides on diffs (from `sse_v2`) and on `close_stream` (`sse_v3`).
            version: The version in /config.
            api_prefix: The prefix of all routes but /config, /login and /logout.
            mount: A path in front of all routes, as for an app that is mounted in another one.
            auth: User name and password of the required login.
            max_queue_size: How many events can wait, over all endpoints.
            concurrency_limit: How many events of one endpoint can run, unless it has its own limit.
                Gradio's own default is 1; here it is unlimited.
            show_error: Whether /config reports that errors are shown. Scripts decide what they
                send.
            heartbeat_interval: Seconds between heartbeats.
            max_file_size: The maximum bytes of one upload.
            config: Merged over /config; a None value removes the key.
        """
        self.title = title
        self.protocol = protocol
        self.version = version
        self.api_prefix = api_prefix
        self.mount = mount
        self.auth = auth
        self.max_queue_size = max_queue_size
        self.concurrency_limit = concurrency_limit
        self.show_error = show_error
        self.heartbeat_interval = heartbeat_interval
        self.max_file_size = max_file_size
        self.config_overrides = dict(config or {})
        self.app_id = 5841325960069749823
        self.endpoints: list[AppEndpoint] = []

    @property
    def sends_edits(self) -> bool:
        return find_protocol(self.protocol).traits.diffs

    @property
    def sends_close_stream(self) -> bool:
        return find_protocol(self.protocol).traits.announces_end

    def __getitem__(self, name: str) -> AppEndpoint:
        for endpoint in self.endpoints:
            if endpoint.name == name.removeprefix("/"):
                return endpoint
        raise KeyError(name)

    def add(
        self,
        name: str | None,
        script: Callable[..., Awaitable[None]] | None = None,
        *,
        inputs: Iterable[Component | str] = (),
        outputs: Iterable[Component | str] = ("out",),
        generator: bool = False,
        parameter_names: Sequence[str] | None = None,
        optional: Iterable[str] = (),
        visibility: Visibility = "public",
        queue: bool | None = True,
        backend: bool = True,
        concurrency_limit: int | Literal["default"] | None = "default",
        concurrency_id: str | None = None,
        validator: Callable[..., Sequence[tuple[bool, str] | None]] | None = None,
        cached: bool = False,
        manual: bool = False,
        description: str = "",
        oauth_token: Literal["required", "optional"] | None = None,
        cancels: Iterable[int] = (),
        extra: dict[str, Any] | None = None,
    ) -> AppEndpoint:
        """Add an endpoint; a string among `inputs` or `outputs` is a textbox with that label.

        Without a script, it returns its inputs; a generator first yields them one by one.
        """
        input_components = _components(inputs)
        names = parameter_names or [component.label or "state" for component in input_components]
        endpoint = AppEndpoint(
            fn_index=len(self.endpoints),
            name=name,
            inputs=input_components,
            outputs=_components(outputs),
            script=script or (yield_inputs if generator else return_inputs),
            generator=generator,
            parameter_names=tuple(names),
            optional=frozenset(optional),
            visibility=visibility,
            queue=queue,
            backend=backend,
            concurrency_limit=(
                self.concurrency_limit if concurrency_limit == "default" else concurrency_limit
            ),
            concurrency_id=concurrency_id or f"fn-{len(self.endpoints)}",
            validator=validator,
            cached=cached,
            manual=manual,
            description=description,
            oauth_token=oauth_token,
            cancels=tuple(cancels),
            extra=dict(extra or {}),
        )
        self.endpoints.append(endpoint)
        return endpoint

    def endpoint(
        self, name: str | None = None, **options: Any
    ) -> Callable[[Callable[..., Awaitable[None]]], AppEndpoint]:
        """Decorate a script: `add` under the function's name, or under `name`."""

        def decorate(script: Callable[..., Awaitable[None]]) -> AppEndpoint:
            return self.add(name or getattr(script, "__name__", None), script, **options)

        return decorate

    def find(self, fn_index: int) -> AppEndpoint | None:
        """Return the endpoint with a number; None if there is none."""
        return next((e for e in self.endpoints if e.fn_index == fn_index), None)

    def _components(self) -> dict[Component, int]:
        """Number the components, in order of appearance."""
        ids: dict[Component, int] = {}
        for endpoint in self.endpoints:
            for component in (*endpoint.inputs, *endpoint.outputs):
                ids.setdefault(component, len(ids) + 1)
        return ids

    def config(self, url: str, *, username: str | None = None) -> dict[str, Any]:
        """Build the response to GET /config."""
        ids = self._components()
        buttons = {endpoint: len(ids) + 1 + n for n, endpoint in enumerate(self.endpoints)}
        triggers = [
            button(endpoint.name or "unnamed").config(number)
            for endpoint, number in buttons.items()
        ]
        states = any(component.is_state for component in ids)
        config: dict[str, Any] = {
            "version": self.version,
            "api_prefix": self.api_prefix,
            "mode": "blocks",
            "app_id": self.app_id,
            "dev_mode": False,
            "analytics_enabled": False,
            "components": [
                *(component.config(number) for component, number in ids.items()),
                *triggers,
            ],
            "connect_heartbeat": states,
            "title": self.title,
            "space_id": None,
            "enable_queue": True,
            "show_error": self.show_error,
            "is_colab": False,
            "max_file_size": self.max_file_size,
            "protocol": self.protocol,
            "pages": [["", "Home", True]],
            "mcp_server": False,
            "dependencies": [endpoint.config(ids, number) for endpoint, number in buttons.items()],
            "layout": {"id": 0, "children": [{"id": number} for number in ids.values()]},
            "username": username,
            "root": url,
        }
        config |= self.config_overrides
        return {key: value for key, value in config.items() if key not in self._removed_keys()}

    def _removed_keys(self) -> set[str]:
        return {key for key, value in self.config_overrides.items() if value is None}

    def info(self, *, all_endpoints: bool = False) -> dict[str, Any]:
        """Build the response to GET /info."""
        shown = {"public", "undocumented"} if all_endpoints else {"public"}
        named = {
            f"/{endpoint.name}": endpoint.info()
            for endpoint in self.endpoints
            if endpoint.name and endpoint.backend and endpoint.visibility in shown
        }
        return {"named_endpoints": named, "unnamed_endpoints": {}}


def _fit(values: list[Any], count: int) -> list[Any]:
    return (values + [None] * count)[:count]


async def return_inputs(event: Any) -> None:
    """Return the inputs without State, cut or filled up to the number of outputs."""
    values = [
        value
        for value, component in zip(event.data, event.endpoint.inputs, strict=False)
        if not component.is_state
    ]
    await event.completed(_fit(values, len(event.endpoint.outputs)))


async def yield_inputs(event: Any) -> None:
    """Yield each input in the first output."""
    for value in event.data:
        await event.generating(_fit([value], len(event.endpoint.outputs)))
