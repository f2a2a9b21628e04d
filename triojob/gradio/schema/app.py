"""An app's description, from ``/config`` and ``/info``; no I/O."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..._exceptions import EndpointMismatch, EndpointNotFound, ProtocolError, short_repr
from ..._lazy import lazy_property
from ..._secrets import scrub
from ..files.inputs import FilePlaceholders
from ..protocol.messages import Json, are_objects, is_list, is_object
from ..protocol.properties import unwrap
from .labels import labelled, text_of
from .parameters import Parameter, encode_arguments, is_name
from .view import describe_endpoint

FilesAs = Literal["path", "handle"]
"""The type of files in outputs: paths of copies, or `File` objects."""

_OAUTH = ("required", "optional")
_UNKNOWN: Json = {}
"""A component that is missing, such as a component of a ``gr.render``."""
_LONGEST_GUESS = 20_000
"""Maximum characters of JSON in a component's schema, if ``/info`` describes no parameter."""


@dataclass(frozen=True)
class EndpointInfo:
    """An app's description of one of its functions."""

    fn_index: int
    """The server's number for it: the dependency's id."""
    api_name: str | None
    """Its name with the slash, or None if it has none."""
    visibility: str
    """``"public"``, ``"undocumented"`` or ``"private"``."""
    description: str
    parameters: tuple[Parameter, ...]
    returns: tuple[Json, ...]
    """The app's description of each visible output: label, type, python_type, component."""
    input_count: int
    """The number of slots in ``data``, including hidden components."""
    shown_outputs: tuple[int, ...]
    """The indexes in an output's data that are not hidden components."""
    streams: bool
    """Whether it is a generator."""
    takes_stream: bool
    """Whether it takes inputs while outputs come back."""
    stateful: bool
    """Whether it takes or returns ``gr.State``, which Gradio keeps by session."""
    oauth_token: str | None = None
    """``"required"`` or ``"optional"`` if its function takes a ``gr.OAuthToken``, else None."""
    queued: bool = True
    """Whether the app calls it through its queue."""
    canceller: int | None = None
    """The number of a function of the app that cancels this one, or None."""

    @lazy_property
    def name(self) -> str:
        """Its name in messages: ``"/name"`` or ``"fn_index 3"``, without secrets."""
        return scrub(self.api_name or f"fn_index {self.fn_index}", ours=True)

    @lazy_property
    def text(self) -> str:
        """The description for people: parameters, defaults, choices, outputs."""
        return describe_endpoint(self)

    @lazy_property
    def signature(self) -> inspect.Signature:
        """The signature as Python shows it."""
        shown: list[inspect.Parameter] = []
        optional = False
        for parameter in self.parameters:
            shown.append(parameter.as_python(after_optional=optional))
            optional = optional or not parameter.required
        return inspect.Signature(shown)

    def encode(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        validate: bool,
        placeholders: FilePlaceholders | None = None,
    ) -> str:
        """Return the ``data`` of a call as JSON, hidden components filled with null.

        Files leave placeholders in it, which are added to ``placeholders``.

        Raises:
            TypeError, ValueError: An argument is wrong or missing; the message names it.
        """
        try:
            return encode_arguments(
                self.name,
                self.parameters,
                self.input_count,
                args,
                kwargs,
                validate=validate,
                placeholders=placeholders,
            )
        except (TypeError, ValueError) as exc:
            # The messages contain parameters and choices of the server.
            exc.args = (scrub(str(exc), ours=True),)
            raise

    def present(self, data: list[Any], *, raw_updates: bool = False) -> Any:
        """Return an output as users see it: without hidden components; a single value as it is.

        A property update is shown as its value, or as a `PropertyUpdate` if it has none.

        Args:
            raw_updates: Whether to leave property updates as the server sends them.

        Raises:
            ProtocolError: The data has too few values.
        """
        shown = self.shown_outputs
        if shown and shown[-1] >= len(data):
            raise ProtocolError(
                f"{self.name} has at least {shown[-1] + 1} outputs, but the server sent "
                f"{len(data)}: {short_repr(data)}"
            )
        values = [data[place] for place in shown]
        if not raw_updates:
            values = [unwrap(value) for value in values]
        return values[0] if len(values) == 1 else tuple(values)


class Render(NamedTuple):
    """The functions and components that one ``gr.render`` has created in one session."""

    render_id: int | str | None
    """The render's id: a later result of the same render replaces an earlier one."""
    components: list[Json]
    dependencies: list[Json]

    @classmethod
    def from_config(cls, config: Json) -> Render:
        """Read a decoded ``render_config``.

        Raises:
            ProtocolError: It is invalid.
        """
        render_id = config.get("render_id")
        components, dependencies = config.get("components"), config.get("dependencies")
        if not isinstance(render_id, (int, str, type(None))):
            raise ProtocolError(f"the id of a render is invalid: {short_repr(render_id)}")
        if not (are_objects(components) and are_objects(dependencies)):
            raise ProtocolError(
                "a render of the app lacks its functions or components; "
                f"it has: {short_repr(sorted(config))}"
            )
        return cls(render_id, components, [item for item in dependencies if "id" in item])


class AppInfo:
    """An app's description of itself.

    ``/info`` describes functions by their names, which are not unique: if several functions share a
    name, it describes the last one.  So each description is assigned to its function, and the other
    functions are described by their components in ``/config``.

    Args:
        config: ``/config``, decoded.
        info: ``/info?all_endpoints=True``, decoded.
        public: ``/info``, decoded, if `hides_public` shows that it is needed.

    Raises:
        ProtocolError: They are invalid.
    """

    def __init__(self, config: Json, info: Json, public: Json | None = None) -> None:
        self.config: Json = config
        """``/config``, unchanged."""
        self.info: Json = info
        """``/info?all_endpoints=True``, unchanged."""
        self.public_info: Json = info if public is None else public
        """The description of the public endpoints in ``/info``, possibly with others, unchanged."""
        self.version: str = str(config.get("version", ""))
        self.protocol: str = str(config.get("protocol", "ws"))
        self.api_prefix: str = str(config.get("api_prefix") or "")
        self._translations = config.get("i18n_translations")
        self.title: str = text_of(config.get("title"), self._translations)
        most = config.get("max_file_size")
        self.max_file_size: int | None = most if type(most) is int else None
        """The size limit in bytes of uploads, or None for no limit."""
        self.app_id: Any | None = config.get("app_id")
        """The id of the app's process, which changes at each start; None if it has none."""
        self.wants_heartbeat: bool = config.get("connect_heartbeat") is not False
        named = info.get("named_endpoints")
        dependencies = config.get("dependencies")
        components = config.get("components")
        if not (is_object(named) and are_objects(dependencies) and are_objects(components)):
            raise ProtocolError(
                "the app's /config or /info lacks its endpoints or components; "
                f"is it a Gradio app? /config has: {short_repr(sorted(config))}"
            )
        self._queued = config.get("enable_queue") is not False
        self._components: dict[Any, Json] = {}
        self._dependencies: dict[int, Json] = {}
        self._cancellers: dict[int, int] = {}
        self._by_name: dict[str, int] = {}
        self._guesses: dict[int, Json] = {}
        """The description of a component by itself, by the component's identity."""
        self._endpoints: dict[int, EndpointInfo] = {}
        """The endpoints that have been looked up."""
        self._add(components, dependencies)
        self._descriptions: dict[int, Any] = {}
        """The description of each function in ``/info``."""
        self.hides_public: bool = False
        """Whether ``info`` describes another function in the place of a public one."""
        unnamed = info.get("unnamed_endpoints")
        self._join(named, unnamed if is_object(unnamed) else {}, public)

    def _add(self, components: list[Json], dependencies: list[Json]) -> None:
        self._components |= {_id_of(component.get("id")): component for component in components}
        for place, dependency in enumerate(dependencies):
            fn_index = dependency.get("id", place)
            if isinstance(fn_index, int) and dependency.get("backend_fn") is not False:
                self._dependencies[fn_index] = dependency
                cancels = dependency.get("cancels")
                if is_list(cancels):
                    self._cancellers |= {i: fn_index for i in cancels if isinstance(i, int)}
                name = _name(dependency)
                if name is not None and _visibility(dependency) != "private":
                    # Gradio also takes the first function of that name, but it is not always
                    # public.
                    first = self._dependencies[self._by_name.setdefault(name, fn_index)]
                    if _visibility(dependency) == "public" and _visibility(first) != "public":
                        self._by_name[name] = fn_index

    def _join(self, named: Json, unnamed: Json, public: Json | None) -> None:
        """Assign each description of ``/info`` to its function."""
        shown = None if public is None else public.get("named_endpoints")
        for name, found in self._last_of_names().items():
            said = named.get(name)
            # If several functions share the name, it names the right one, since Gradio 6.
            visibility = said.get("api_visibility") if is_object(said) else None
            if len(found) == 1:
                visibility = next(iter(found))
            if isinstance(visibility, str) and visibility in found:
                self._descriptions[found[visibility]] = said
            if "public" in found and visibility != "public":
                self.hides_public |= name in named
                if is_object(shown):
                    self._descriptions[found["public"]] = shown.get(name)
        for fn_index in self._dependencies:
            if self._descriptions.get(fn_index) is None:
                self._descriptions[fn_index] = unnamed.get(str(fn_index))

    def _last_of_names(self) -> dict[str, dict[str, int]]:
        """Return the last function of each name, by visibility, that ``/info`` may describe."""
        last: dict[str, dict[str, int]] = {}
        for fn_index, dependency in self._dependencies.items():
            name, visibility = _name(dependency), _visibility(dependency)
            if name is not None and visibility != "private":
                found = last.setdefault(name, {})
                # ``/info`` omits functions with components that are not in ``/config``.
                if visibility not in found or self._is_whole(dependency):
                    found[visibility] = fn_index
        return last

    def _is_whole(self, dependency: Json) -> bool:
        slots = (dependency.get("inputs"), dependency.get("outputs"))
        return all(
            _id_of(item) in self._components for ids in slots if is_list(ids) for item in ids
        )

    def with_renders(self, renders: Iterable[Render]) -> AppInfo:
        """Return the app with the functions that ``gr.render`` has created in one session."""
        app = copy.copy(self)
        app._components, app._dependencies = {**self._components}, {**self._dependencies}
        app._cancellers, app._by_name = {**self._cancellers}, {**self._by_name}
        app._guesses, app._endpoints = {}, {}
        for render in renders:
            app._add(render.components, render.dependencies)
        # A render's function has no description there.
        app._descriptions = {
            fn_index: said
            for fn_index, said in self._descriptions.items()
            if app._dependencies[fn_index] is self._dependencies[fn_index]
        }
        return app

    def names(self, *, all_endpoints: bool = False) -> tuple[str, ...]:
        """Return the names of the public endpoints, or of all that can be called by name."""
        return tuple(
            name
            for name, fn_index in self._by_name.items()
            if all_endpoints or _visibility(self._dependencies[fn_index]) == "public"
        )

    def number_of(self, name: str) -> int | None:
        """Return the number of the function of that name, with its slash; None if there is none."""
        return self._by_name.get(name)

    def find(self, api_name: str | None, fn_index: int | None) -> EndpointInfo:
        """Return the endpoint of that name or number; without either, the app's main endpoint.

        Raises:
            EndpointNotFound: There is none, or more than one.
            TypeError: Both a name and a number are given.
            EndpointMismatch: The app's descriptions of it disagree.
            ProtocolError: The app's description of it is invalid.
        """
        if api_name is not None and fn_index is not None:
            raise TypeError("pass api_name or fn_index, not both")
        if fn_index is not None:
            if fn_index not in self._dependencies:
                raise EndpointNotFound(
                    f"the app has no function with fn_index {fn_index!r}; "
                    f"it has {sorted(self._dependencies)}",
                    available=self.names(),
                )
            return self._describe(fn_index)
        if api_name is None:
            names = self.names()
            if len(names) == 1:
                api_name = names[0]
            elif "/predict" in names:
                api_name = "/predict"
            else:
                raise EndpointNotFound(
                    f"choose an endpoint with api_name=; the app has {_list(names)}",
                    available=names,
                )
        name = api_name if api_name.startswith("/") else "/" + api_name
        if name not in self._by_name:
            names = self.names()
            import difflib

            near = difflib.get_close_matches(name, names, 1, 0.5)
            hint = f"did you mean {near[0]!r}? It has" if near else "it has"
            raise EndpointNotFound(
                f"the app has no endpoint {name!r}; {hint} {_list(names)}",
                available=names,
                nearest=near[0] if near else None,
            )
        return self._describe(self._by_name[name])

    def endpoints(
        self, *, all_endpoints: bool = False
    ) -> dict[str, EndpointInfo | EndpointMismatch | ProtocolError]:
        """Return the public endpoints, or all named ones; for an unusable one, the error."""
        found: dict[str, EndpointInfo | EndpointMismatch | ProtocolError] = {}
        for name in self.names(all_endpoints=all_endpoints):
            try:
                found[name] = self.find(name, None)
            except (EndpointMismatch, ProtocolError) as exc:
                found[name] = exc
        return found

    def description_of(self, fn_index: int) -> Json | None:
        """Return the app's own description of a function; None if it has none."""
        said = self._descriptions.get(fn_index)
        return said if is_object(said) else None

    def _describe(self, fn_index: int) -> EndpointInfo:
        if fn_index not in self._endpoints:
            self._endpoints[fn_index] = self._read(fn_index)
        return self._endpoints[fn_index]

    def _read(self, fn_index: int) -> EndpointInfo:
        dependency = self._dependencies[fn_index]
        api_name = _name(dependency)
        shown = api_name or f"function {fn_index}"
        described: Any = self._descriptions.get(fn_index)
        if described is not None and not is_object(described):
            raise ProtocolError(f"/info describes {shown} as {short_repr(described)}")
        inputs = self._slots(dependency, "inputs", fn_index)
        outputs = self._slots(dependency, "outputs", fn_index)
        places = [place for place, component in enumerate(inputs) if not _hidden(component)]
        if described is None:
            # Private and unnamed functions are not in /info; their components describe their
            # parameters.
            described = {
                "parameters": self._guess([inputs[place] for place in places]),
                "returns": [],
            }
        parameters = described.get("parameters")
        returns = described.get("returns")
        if not are_objects(parameters) or not are_objects(returns):
            raise ProtocolError(
                f"/info has no parameters or returns of {shown}: {short_repr(described)}"
            )
        if len(parameters) != len(places):
            raise EndpointMismatch(
                f"{shown} can't be called: the app's /config says that it takes {len(places)} "
                f"values, but its /info describes {len(parameters)}; if the app was being "
                "restarted, open a new Client"
            )
        types = dependency.get("types")
        description = described.get("description") or dependency.get("api_description") or ""
        return EndpointInfo(
            fn_index=fn_index,
            api_name=api_name,
            visibility=_visibility(dependency),
            description=str(description),
            parameters=_parameters(self._labelled(parameters, "input"), places, inputs),
            returns=tuple(self._labelled(returns, "output")),
            input_count=len(inputs),
            shown_outputs=tuple(
                place for place, component in enumerate(outputs) if not _hidden(component)
            ),
            streams=is_object(types) and types.get("generator") is True,
            takes_stream=dependency.get("connection") == "stream",
            stateful=any(component.get("type") == "state" for component in (*inputs, *outputs)),
            oauth_token=oauth if (oauth := described.get("oauth_token")) in _OAUTH else None,
            # In Gradio 3, null means the app's own setting.
            queued=self._queued if dependency.get("queue") is None else bool(dependency["queue"]),
            canceller=self._cancellers.get(fn_index),
        )

    def _labelled(self, items: list[Json], what: str) -> list[Json]:
        return [
            labelled(item, f"{what} {number}", self._translations)
            for number, item in enumerate(items, 1)
        ]

    def _guess(self, components: list[Json]) -> list[Json]:
        """Describe inputs by their components, with one shared schema for each component."""
        guesses: list[Json] = []
        before: set[int] = set()
        for component in components:
            known = self._guesses.get(id(component))
            if known is None:
                known = self._guesses[id(component)] = _guess(component)
            guesses.append({**known, "type": {}} if id(component) in before else known)
            before.add(id(component))
        return guesses

    def _slots(self, dependency: Json, key: str, fn_index: int) -> list[Json]:
        ids = dependency.get(key)
        if not is_list(ids):
            raise ProtocolError(f"function {fn_index} has no list of {key}: {short_repr(ids)}")
        return [self._components.get(_id_of(item), _UNKNOWN) for item in ids]


def _id_of(item: Any) -> Any:
    # Some releases send [id, "value"] for a single property of a component.
    while is_list(item) and item:
        item = item[0]
    return item if isinstance(item, (int, str)) else None


def _name(dependency: Json) -> str | None:
    name = dependency.get("api_name")
    return "/" + name if isinstance(name, str) else None


def _visibility(dependency: Json) -> str:
    visibility = dependency.get("api_visibility")
    if isinstance(visibility, str):
        return visibility
    return "public" if dependency.get("show_api", True) else "undocumented"


def _hidden(component: Json) -> bool:
    return bool(component.get("skip_api", component.get("type") == "state"))


def _guess(component: Json) -> Json:
    props = component.get("props")
    label = props.get("label") if is_object(props) else None
    schema: Any = component.get("api_info_as_input") or component.get("api_info") or {}
    # Any number of functions may have it as their input, each with a schema of that length.
    too_long = len(json.dumps(schema)) > _LONGEST_GUESS
    return {
        "label": label,
        "type": {} if too_long else schema,
        "component": component.get("type"),
    }


def _parameters(
    described: list[Json], places: list[int], inputs: list[Json]
) -> tuple[Parameter, ...]:
    parameters: list[Parameter] = []
    taken: set[str] = set()
    given = {name for item in described if isinstance(name := item.get("parameter_name"), str)}
    for index, (item, place) in enumerate(zip(described, places, strict=True)):
        name = item.get("parameter_name")
        # A name that is not an identifier can't be written in code.
        if not isinstance(name, str) or not is_name(name) or name in taken:
            name = f"param_{index}"
            while name in taken or name in given:
                name += "_"
        taken.add(name)
        props = inputs[place].get("props")
        parameters.append(Parameter.from_info(name, place, item, props))
    return tuple(parameters)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names) or "no public endpoint"
