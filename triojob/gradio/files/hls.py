"""Parses playlists of media streams (HLS, RFC 8216) in Gradio's format; no I/O.

Wire source: ``/stream/{session}/{run}/{component}/playlist.m3u8`` (gradio 6.31, ``routes.py``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..._exceptions import ProtocolError, shorten


class Playlist(NamedTuple):
    """The content of a playlist."""

    segments: tuple[str, ...]
    """The names of the segments, which are in the same folder as the playlist."""
    ended: bool
    """Whether the playlist is complete."""


def parse_playlist(body: bytes) -> Playlist:
    """Parse a playlist.

    Raises:
        ProtocolError: It is invalid, or a segment is outside of the playlist's folder.
    """
    lines = [line.strip() for line in body.decode("utf-8", "replace").split("\n")]
    if lines[0] != "#EXTM3U":
        raise ProtocolError(f"the response is not the playlist of a stream: {shorten(body)}")
    segments = tuple(line for line in lines if line and not line.startswith("#"))
    for name in segments:
        if not re.fullmatch(r"[\w~-][\w.~-]{0,199}", name, re.ASCII):
            raise ProtocolError(
                f"the playlist of a stream names a segment outside its folder: {shorten(name)!r}"
            )
    return Playlist(segments, "#EXT-X-ENDLIST" in lines)
