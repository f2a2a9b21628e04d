"""The framing of an upload: ``multipart/form-data`` with one file; no I/O."""

from __future__ import annotations

import re
import uuid


class Multipart:
    """One file as a form's field, in the format of browsers (RFC 7578, and HTML on names).

    Args:
        field: The name of the form's field.
        name: The name of the file.
        mime_type: Its MIME type, or None if unknown.
    """

    def __init__(self, field: str, name: str, mime_type: str | None) -> None:
        boundary = uuid.uuid4().hex
        kind = mime_type or "application/octet-stream"
        if not re.fullmatch(r"[!-~ ]+", kind):  # a header has one line, of ASCII characters
            kind = "application/octet-stream"
        self.content_type: str = f"multipart/form-data; boundary={boundary}"
        self.head: bytes = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="{_escaped(name)}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        ).encode("utf-8", "replace")
        self.tail: bytes = f"\r\n--{boundary}--\r\n".encode()

    def length(self, size: int) -> int:
        """Return the length of the form in bytes, with a file of ``size`` bytes."""
        return len(self.head) + size + len(self.tail)


def _escaped(name: str) -> str:
    return re.sub(r'["\x00-\x1f\x7f]', lambda match: f"%{ord(match[0]):02X}", name)
