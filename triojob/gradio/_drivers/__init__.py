"""One driver for each protocol that Gradio has spoken."""

from __future__ import annotations

from ..._errors import ProtocolError
from .._http import HTTP
from ._base import Driver as Driver
from ._sse_v3 import SseV3, refusal as refusal


def make_driver(protocol: str, http: HTTP) -> Driver:
    """Return the driver for the protocol that a server names in ``/config``.

    Raises:
        ProtocolError: There is none for it.
    """
    if protocol == "sse_v3":
        return SseV3(http)
    raise ProtocolError(
        f"the app speaks the protocol {protocol!r}, of which this triojob knows only sse_v3 "
        "(Gradio 4.22 and later)"
    )
