"""Work counted in steps of the interpreter, which no other process and no clock has a part in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(function: Callable[..., object], *args: Any) -> int:
    """Return how many operations of Python's a call takes, in all functions that it calls."""
    count = 0

    def step(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


def assert_linear(make: Callable[[int], Callable[[], object]], n: int) -> None:
    """Check that twice as much is at most twice the work; ``make`` returns the work of a size.

    What doesn't grow comes on top, so that a little more than twice is too much already.
    """
    once, twice = steps(make(n)), steps(make(2 * n))
    assert twice <= 2.2 * once, f"{once} steps for {n}, but {twice} for {2 * n}"
