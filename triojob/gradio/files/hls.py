"""Playlists of media streams (HLS, RFC 8216), as far as Gradio writes them; no I/O.

Wire source: ``/stream/{session}/{run}/{component}/playlist.m3u8`` (gradio 6.31, ``routes.py``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..._exceptions import ProtocolError, shorten


class Playlist(NamedTuple):
    """What a playlist says."""

    segments: tuple[str, ...]
    """The names of the segments, which lie beside the playlist."""
    ended: bool
    """Whether no more will come."""


def parse_playlist(body: bytes) -> Playlist:
    """Read a playlist.

    Raises:
        ProtocolError: It is none, or a segment lies anywhere but beside it.
    """
    lines = [line.strip() for line in body.decode("utf-8", "replace").split("\n")]
    if lines[0] != "#EXTM3U":
        raise ProtocolError(f"this is no playlist of a stream: {shorten(body)}")
    segments = tuple(line for line in lines if line and not line.startswith("#"))
    for name in segments:
        if not re.fullmatch(r"[\w~-][\w.~-]{0,199}", name, re.ASCII):
            raise ProtocolError(f"a playlist names a segment elsewhere: {shorten(name)!r}")
    return Playlist(segments, "#EXT-X-ENDLIST" in lines)
