"""Makes file names from a server safe; no I/O.

A name from a server is untrusted text: it may be a path, a device, or misleading.
The result of `safe_name` is always exactly one component of a path, on every system.
"""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 200
"""Bytes of UTF-8; file systems allow 255, and the rest is left for a temporary suffix."""
_MAX_SUFFIX = 32
_FALLBACK = "file"

# Characters that Windows forbids in names; a colon would name a drive or an alternate data stream.
_FORBIDDEN = frozenset('<>:"|?*')
# Names that Windows treats as devices in any folder, with any suffix.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)


def safe_name(*candidates: object) -> str:
    """Return the first candidate that contains a name, made safe; ``"file"`` if none does.

    The result is never empty, ``.`` or ``..``, never hidden by a leading dot, and at most 200 bytes
    long with its suffix kept.
    """
    for candidate in candidates:
        if isinstance(candidate, str):
            name = _cleaned(candidate)
            if name:
                return name
    return _FALLBACK


def _cleaned(text: str) -> str:
    last = re.split(r"[/\\]", text)[-1]
    # Trailing dots and spaces are not part of a name on Windows.
    name = "".join(map(_safe_character, last)).strip(" ").rstrip(". ")
    # A hidden file could be one that a program reads automatically, such as .bashrc.
    bare = name.lstrip(".")
    if bare != name:
        name = f"_{bare}" if bare else ""
    if name.partition(".")[0].rstrip(" ").upper() in _DEVICES:
        name = f"_{name}"
    return _shortened(name)


def _safe_character(character: str) -> str:
    # Control characters, characters that change the direction of text, surrogates.
    odd = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "_" if odd or character in _FORBIDDEN else character


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    suffix = (dot + ending).encode()
    if not stem or len(suffix) > _MAX_SUFFIX:
        stem, suffix = name, b""
    # The remainder of a character that was cut in two is dropped.
    kept = stem.encode()[: MAX_NAME - len(suffix)].decode("utf-8", "ignore")
    return kept.rstrip(". ") + suffix.decode()
