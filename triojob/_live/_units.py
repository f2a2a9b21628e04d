"""Durations, rates and sizes as short texts."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """Format a duration: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``1 h 05 min``, ``4 d 2 h``."""
    if not math.isfinite(seconds):
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def latency(seconds: float | None) -> str:
    """Format how long a call took: ``8 ms``, ``0.25 s``; longer ones as `duration` does."""
    if seconds is None:
        return "-"
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 0.995 else duration(seconds)


def per_second(rate: float) -> str:
    """Format a rate: ``120/s``, ``3.1/s``, ``4.2/min``, ``1.5/h``."""
    unit = "s"
    for longer in ("min", "h"):
        if rate < 0.1:
            rate, unit = rate * 60, longer
    return f"{rate:.{0 if rate >= 99.5 else 1}f}/{unit}"


def size(count: float) -> str:
    """Format a number of bytes: ``512 B``, ``1.4 kB``, ``23 MB``."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.{1 if unit != 'B' and count < 9.95 else 0}f} {unit}"
