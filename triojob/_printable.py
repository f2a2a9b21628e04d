r"""Makes foreign text safe for a terminal or a log: escapes characters that control them.

These are control characters (C0, DEL and C1, which begin escape sequences), characters that
change the text direction (the bidirectional controls of Unicode, UAX #9), and lone surrogates.
The joiners of emoji and of Persian stay unchanged.
"""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINES = re.compile(f"[{_CONTROLS}]")
_IN_A_LINE = re.compile(rf"[{_CONTROLS}\t\n\u2028\u2029]")


def printable(text: str) -> str:
    r"""Return ``text``, which can have several lines, with escapes such as ``\x1b``."""
    return _IN_LINES.sub(_escape, text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    r"""Return ``text`` as one line: tabs and line ends become escapes such as ``\n``, too."""
    return _IN_A_LINE.sub(_escape, text)


def printable_json(text: str) -> str:
    r"""Return JSON with escapes such as ``\u009b``: it stays JSON with the same value."""
    return _IN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in "\t\n":
        return "\\t" if match[0] == "\t" else "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
