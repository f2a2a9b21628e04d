"""The properties of a protocol, apart from its implementation; the only place that knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .file_marks import ReadFile, marked_by_type


@dataclass(frozen=True, kw_only=True)
class ProtocolTraits:
    """The properties of a protocol that sessions, files, the bridge and scripted apps depend on."""

    session_stream: bool
    """Whether all calls of a session share one event stream; if not, each call has a connection."""
    diffs: bool = False
    """Whether outputs after the first are sent as edits of the previous output."""
    announces_end: bool = False
    """Whether a message announces the end of a session's event stream."""
    read_file: ReadFile = marked_by_type
    """Returns the file that an object of an output represents, or None."""
    old_file_arguments: bool = False
    """Whether files in arguments are written in the format of Gradio 3."""
    cancels_since: tuple[int, int] | None = None
    """The version of Gradio from which a request can cancel a call."""
    dequeues_since: tuple[int, int] | None = None
    """The version of Gradio from which a request can remove a waiting call from the queue."""
    announces_start: bool = True
    """Whether the server reports that a call starts to run."""
    mixes_generators: bool = False
    """Whether two calls of one generator in one session interfere with each other."""
    queues_all: bool = True
    """Whether functions with ``queue=False`` can be called through the queue too."""

    def cancels(self, version: str) -> bool:
        """Return whether a release has a request that cancels calls; see `dequeues`."""
        return _is_since(self.cancels_since, version)

    def dequeues(self, version: str) -> bool:
        """Return whether a release can remove waiting calls from its queue.

        Args:
            version: The version of Gradio; an invalid version counts as a new one.
        """
        return _is_since(self.dequeues_since, version)


def _is_since(first: tuple[int, int] | None, version: str) -> bool:
    if first is None:
        return False
    numbers = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= first
