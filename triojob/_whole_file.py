"""Replaces a file at once, or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def new_draft(path: Path) -> Path:
    """Create an empty file beside ``path``, which can later replace it; return its path.

    Raises:
        OSError: No file can be written there.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}.part")
    with draft.open("xb"):
        return draft


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file, or create it; readers find either the old content or the new one.

    Raises:
        OSError: It can't be written; then it is as it was.
    """
    draft = new_draft(path)
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
