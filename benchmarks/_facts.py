"""What a reader of figures has to know of the machine and the software."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "triojob",
    "trio",
    "httpx",
    "httpcore",
    "httptools",
    "gradio",
    "gradio_client",
    "noob-gradio",
)


def collect() -> dict[str, str]:
    """Return the facts, by name."""
    facts = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": str(cores()),
        "load at start": load(),
        "memory": memory(),
        "system": platform.platform(terse=True),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "open files": open_files(),
    }
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            facts[package] = version(package)
    if node := shutil.which("node"):
        facts["node"] = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return facts


def processor() -> str:
    """Name the processor as far as the system does."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Count the cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if allowed is None else len(allowed(0))


def load() -> str:
    """Tell how busy the machine is with other things."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.1f}"


def memory() -> str:
    """Tell how much memory the machine has."""
    with suppress(OSError, ValueError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return f"{total / 2**30:.0f} GiB"
    return "unknown"


def open_files() -> str:
    """Tell how many files (sockets too) a process may open."""
    try:
        import resource
    except ImportError:
        return "unknown"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"{soft:,} (at most {hard:,})"
