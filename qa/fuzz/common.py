"""What the targets share."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

SHOWN = 2000
"""Characters that the text of any error may have at most."""


def check_error(error: Exception) -> None:
    assert len(str(error)) <= SHOWN, "an error shows too much of what the server sent"


def decoded(data: bytes) -> Any:
    """Return what bytes of JSON say; None for what is none, and for what is too deep to compare."""
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        copy.deepcopy(value)
        return value
    return None
