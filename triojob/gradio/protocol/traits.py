"""What a protocol is like, apart from how it is spoken; the one place to ask that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .file_marks import ReadFile, marked_by_type


@dataclass(frozen=True, kw_only=True)
class ProtocolTraits:
    """What sessions, files, the bridge and scripted apps need to know of a protocol."""

    session_stream: bool
    """Whether a session has one event stream for all its calls, or each call a connection."""
    diffs: bool = False
    """Whether outputs after the first come as edits of the one before."""
    announces_end: bool = False
    """Whether a message says that a session's event stream is about to end."""
    read_file: ReadFile = marked_by_type
    """Tells whether an object of an output is a file."""
    old_file_arguments: bool = False
    """Whether files in arguments are written as Gradio 3 takes them."""
    dequeues_since: tuple[int, int] | None = None
    """The version of Gradio from which a request takes a waiting call out of the queue."""
    announces_start: bool = True
    """Whether the server says when a call starts to run."""
    mixes_generators: bool = False
    """Whether two calls of one generator in one session get in each other's way."""
    queues_all: bool = True
    """Whether functions with ``queue=False`` can be called through the queue too."""

    def dequeues(self, version: str) -> bool:
        """Return whether a release takes waiting calls out of its queue.

        Args:
            version: Of Gradio; what is not a version counts as a new one.
        """
        if self.dequeues_since is None:
            return False
        numbers = re.match(r"(\d{1,9})\.(\d{1,9})", version)
        return numbers is None or (int(numbers[1]), int(numbers[2])) >= self.dequeues_since
