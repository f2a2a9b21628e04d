"""The base classes of the modules that ``triojob stubs`` writes: methods that are endpoints."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Awaitable, Callable
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    final,
    overload,
)

from ._exceptions import EndpointMismatch, EndpointNotFound, ProtocolError, shorten
from .gradio.endpoint import Endpoint, gives_paths
from .gradio.schema.app import EndpointInfo, FilesAs
from .gradio.schema.stubs import fingerprint, signature_of
from .gradio.schema.types import TypeWriter

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEFAULT: Any = ...
"""In a typed module, replaces a default value of the app that is too long to write there."""

_REMEDY = "generate the module again with `triojob stubs`, or pass check=False to use it anyway"


class EndpointSource(Protocol):
    """A source of endpoints: a client, a session or a pool."""

    def endpoint(self, api_name: str | None = None) -> Endpoint:
        """Return the endpoint with that name."""
        ...


@final
class TypedEndpoint(Generic[P, T_co]):
    """A method of a typed module; on an instance, it is the app's own `Endpoint`."""

    def __init__(self, function: Callable[..., Any], api_name: str, fingerprint: str) -> None:
        self.function = function
        self.api_name = api_name
        self.fingerprint = fingerprint
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, app: None, owner: type) -> TypedEndpoint[P, T_co]: ...

    @overload
    def __get__(self, app: TypedApp, owner: type | None = None) -> Endpoint[P, T_co]: ...

    def __get__(
        self, app: TypedApp | None, owner: type | None = None
    ) -> TypedEndpoint[P, T_co] | Endpoint[P, T_co]:
        if app is None:
            return self
        found = app._endpoints.get(self)
        if found is None:
            # In its current state; an exception must be a new one each time.
            found = app._source.endpoint(self.api_name)
        return cast("Endpoint[P, T_co]", found)

    def difference(self, info: EndpointInfo) -> str | None:
        """Return how the app's endpoint differs from this one; None if it does not."""
        if fingerprint(info) == self.fingerprint:
            return None
        here = list(inspect.signature(self.function).parameters.values())[1:]
        there = {parameter.name: parameter for parameter in info.parameters}
        changes = [f"no longer has {p.name!r}" for p in here if p.name not in there]
        known = {parameter.name: parameter for parameter in here}
        signature = signature_of(info, TypeWriter())
        for parameter, kind in signature.parameters:
            own = known.get(parameter.name)
            if own is None:
                changes.append(f"now also takes {parameter.name!r}")
            elif (own.default is own.empty) is not parameter.required:
                now = "is now required" if parameter.required else "is now optional"
                changes.append(f"{parameter.name!r} {now}")
            elif own.annotation != _normal(kind):
                changes.append(f"{parameter.name!r} is now {shorten(kind, 80)}")
        result = self.function.__annotations__.get("return")
        if result != _normal(signature.result):
            changes.append(f"now returns {shorten(signature.result, 80)}")
        return f"{info.name}: {', '.join(changes[:5]) or 'its parameters or outputs have changed'}"


def _normal(kind: str) -> str:
    """Return a type in Python's own format for annotations that are kept as text."""
    return ast.unparse(ast.parse(kind, mode="eval"))


class TypedApp:
    """The endpoints of one app, with their types: the base class of what ``triojob stubs`` writes.

    Args:
        source: An open `Client`, or a `ClientSession` or `ClientPool`.
        check: Whether to verify that the app is as it was when the module was written.

    Raises:
        EndpointMismatch: The app has changed; the message says where.
        ClientClosed: The client is not open.
        ValueError: The client downloads files but the module does not, or the other way around.
    """

    files: ClassVar[FilesAs] = "path"
    """The type of files in outputs: paths of copies, or `File` handles."""

    def __init__(self, source: EndpointSource, *, check: bool = True) -> None:
        self._source = source
        self._endpoints: dict[TypedEndpoint[..., Any], Endpoint] = {}
        differences: list[str] = []
        for method in self._methods():
            try:
                endpoint = source.endpoint(method.api_name)
            except EndpointNotFound:
                differences.append(f"{method.api_name}: the endpoint no longer exists")
                continue
            except (EndpointMismatch, ProtocolError) as exc:
                differences.append(str(exc))
                continue
            self._endpoints[method] = endpoint
            changed = method.difference(endpoint.info) if check else None
            differences += [] if changed is None else [changed]
        if differences and check:
            name = f"{type(self).__module__}.{type(self).__qualname__}"
            shown = "; ".join(differences[:10])
            raise EndpointMismatch(f"the app differs from {name}: {shown}; {_REMEDY}")
        self._check_files()

    @classmethod
    def _methods(cls) -> list[TypedEndpoint[..., Any]]:
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            found |= vars(base)
        return [value for value in found.values() if isinstance(value, TypedEndpoint)]

    def _check_files(self) -> None:
        for endpoint in self._endpoints.values():
            given: FilesAs = "path" if gives_paths(endpoint) else "handle"
            if given != self.files:
                raise ValueError(
                    f"{type(self).__qualname__} needs a client that returns each file as a "
                    f"{self.files}, but this one returns a {given}; change its download_files=, "
                    f"or generate the module with --files {given}"
                )


def endpoint(
    api_name: str, fingerprint: str
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[T]]], TypedEndpoint[P, T]]:
    """Make a method of a typed module the app's endpoint; the method is only its signature.

    Args:
        fingerprint: A hash by `triojob stubs` of the endpoint's types; a different one means that
            the app has changed.
    """

    def decorate(function: Callable[Concatenate[Any, P], Awaitable[T]]) -> TypedEndpoint[P, T]:
        return TypedEndpoint(function, api_name, fingerprint)

    return decorate
