"""Formats an app's text for a line of a terminal: without control characters, and shortened."""

from __future__ import annotations

import math
import numbers
import unicodedata
from collections.abc import Iterable
from typing import Any

from .._exceptions import error_words

LONGEST = 400
"""Maximum number of characters of a text that are examined; lines are shorter."""
DEEPEST = 5
"""Maximum depth in an output at which text is searched for."""
ZERO_WIDTH_JOINER, NON_JOINER = "\u200d", "\u200c"


def one_line(text: str, *, tail: bool = False) -> str:
    r"""Return the start of ``text``, or its end, as one line without control characters.

    White space becomes single spaces; characters that could move the cursor, color the screen or
    reverse the order of the line are shown as escapes, such as ``\x1b``.
    """
    text = text[-LONGEST:] if tail else text[:LONGEST]
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(map(_escaped, line))


def _escaped(character: str) -> str:
    if character == ZERO_WIDTH_JOINER:
        # Terminals disagree about the width of the emoji that it would form.
        return ""
    if character.isascii():
        harmless = character.isprintable()
    else:
        # C: control, format (includes text direction), surrogate, private use, unassigned.
        harmless = character == NON_JOINER or unicodedata.category(character)[0] != "C"
    return character if harmless else repr(character)[1:-1]


def text_of(value: Any, depth: int = DEEPEST) -> str:
    """Find text in an output: a string, the last message of a chat, the first of several."""
    inside: Any = value
    places: Iterable[Any] = ()
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        places = (inside.get("content"), inside.get("text"))
    elif isinstance(value, tuple):
        places = inside
    elif isinstance(value, list):
        places = inside[-1:]
    else:
        return number(value) or ""
    if depth == 0:
        return ""
    return next((text for place in places if (text := text_of(place, depth - 1))), "")


def number(value: Any) -> str | None:
    """Format a number in few characters; None if it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    if not math.isfinite(plain):
        return None
    return f"{plain:.0f}" if plain == round(plain) and abs(plain) < 1e12 else f"{plain:.4g}"


def error_text(error: BaseException) -> str:
    """Return an exception as one line."""
    name, words = type(error).__name__, error_words(error)
    return one_line(f"{name}: {words}" if words else name)
