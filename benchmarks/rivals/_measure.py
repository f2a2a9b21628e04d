"""What a measured process tells of itself: seconds, CPU, peak memory, threads.

It imports nothing but the standard library, so that it is no part of what is measured.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
Scenario = Callable[..., dict[str, Any]]


def told_by_system(name: str) -> int | None:
    """Return a number of /proc/self/status, in its own unit; None on systems without."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return None


def cpu_seconds() -> float:
    """Return the CPU that this process and the children that it waited for have taken."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


class Meter:
    """Measures from when it is made to `stop`."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError):
            # Has the peak (VmHWM) begin anew from here.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._resident = told_by_system("VmRSS")
        self._cpu = cpu_seconds()
        self._start = time.perf_counter()

    def stop(self) -> dict[str, Any]:
        """Return seconds of wall clock and CPU (with child processes), KiB, and threads."""
        wall = time.perf_counter() - self._start
        cpu = cpu_seconds() - self._cpu
        peak = told_by_system("VmHWM")
        known = peak is not None and self._resident is not None
        return {
            "wall": wall,
            "cpu": cpu,
            "peak_kib": peak,
            "grown_kib": peak - self._resident if known else None,  # type: ignore[operator]
            "threads": told_by_system("Threads"),
        }


def ends_well(output: Any, n: int) -> bool:
    """Tell whether this is the last output of a stream of so many steps."""
    if not isinstance(output, str):
        output = output[-1]["content"][-1]["text"]
    return str(output).endswith(f"word{n - 1} ")


def main(scenarios: Mapping[str, Scenario]) -> None:
    """Run the scenario that the command line names; print what it returns."""
    name, arguments = sys.argv[1:]
    print(json.dumps(scenarios[name](**json.loads(arguments))), flush=True)
