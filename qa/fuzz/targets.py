"""What is fuzzed: each target takes any bytes, and fails where a promise is broken.

The promises: no exception but the documented ones, whatever comes; what is kept and what is shown
is bounded; and where there is a plain way to do the same, the answer is the same.
A target that takes something of JSON returns where the bytes are none.
"""

from __future__ import annotations

from collections.abc import Callable

from qa.fuzz import calls, streams, values

TARGETS: dict[str, Callable[[bytes], None]] = {
    "sse": streams.sse,
    "connections": streams.connections,
    "wire": streams.wire,
    "event": streams.event,
    "edits": values.edits,
    "file_data": values.file_data,
    "properties": values.properties,
    "config": values.config,
    "parameters": values.parameters,
    "file_names": values.file_names,
    "calls": calls.calls,
    "descriptions": calls.descriptions,
    "hls": values.hls,
    "multipart": values.multipart,
}
