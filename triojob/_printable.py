r"""Foreign text made fit for a terminal or a log: what would control them is made visible.

That is the control characters (C0, DEL and C1, which begin escape sequences), what turns the order
of writing around (the bidirectional controls of Unicode, UAX #9), and halves of characters.
The joiners of emoji and of Persian are left as they are.
"""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINES = re.compile(f"[{_CONTROLS}]")
_IN_A_LINE = re.compile(rf"[{_CONTROLS}\t\n\u2028\u2029]")


def printable(text: str) -> str:
    r"""Return ``text``, which may have several lines, with escapes such as ``\x1b``."""
    return _IN_LINES.sub(_escape, text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    r"""Return ``text`` as one line: tabs and the ends of lines are escapes such as ``\n``, too."""
    return _IN_A_LINE.sub(_escape, text)


def printable_json(text: str) -> str:
    r"""Return JSON with escapes such as ``\u009b``: it is JSON still, and says the same."""
    return _IN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in "\t\n":
        return "\\t" if match[0] == "\t" else "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
