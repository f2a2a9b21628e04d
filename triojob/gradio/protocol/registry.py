"""The supported protocols, by the names that apps report."""

from __future__ import annotations

from dataclasses import dataclass

from ..._exceptions import ProtocolError, shorten
from ..http.client import HTTP
from . import sse, sse_session, ws
from .base import CallDriver, Protocol, StreamDriver
from .call import CALL
from .run import RUN

_protocols: dict[str, Protocol] = {}


def register(*protocols: Protocol) -> None:
    """Add protocols, for apps that report their names."""
    _protocols.update({protocol.name: protocol for protocol in protocols})


register(*ws.PROTOCOLS, *sse.PROTOCOLS, *sse_session.PROTOCOLS)


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ProtocolError: It is not supported.
    """
    found = _protocols.get(name)
    if found is None:
        raise ProtocolError(
            f"the app uses the protocol {shorten(name)!r}, but this version of triojob supports "
            f"{', '.join(_protocols)}; upgrade triojob"
        )
    return found


@dataclass(frozen=True)
class Drivers:
    """The drivers for one server."""

    queue: StreamDriver | CallDriver
    run: StreamDriver | CallDriver
    call: StreamDriver | CallDriver


def make_drivers(protocol: str, version: str, http: HTTP) -> Drivers:
    """Return the drivers for the protocol that a server names in ``/config``.

    Args:
        version: The version of Gradio, as the server reports it.

    Raises:
        ProtocolError: The protocol is not supported.
        MissingDependency: It needs a library that is not installed.
    """
    queue, run, call = (
        each.driver(http, each.traits, version) for each in (find_protocol(protocol), RUN, CALL)
    )
    return Drivers(queue, run, call)
