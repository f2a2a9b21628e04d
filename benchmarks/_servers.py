"""Starts the servers that clients are measured on, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
COMMANDS = {
    "replay": ["-m", "benchmarks._replay"],
    "real": [str(HERE / "_real_app.py")],
    "default": ["-m", "benchmarks._default_app"],
}


@dataclass(frozen=True)
class Server:
    """One that runs."""

    kind: str
    url: str
    pid: int

    def cpu(self) -> float | None:
        """Return how many seconds of CPU it has taken so far, or None where no one tells."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(kind: str) -> Generator[Server, None, None]:
    """Run a server of `COMMANDS`; it ends with the block, or with this process.

    Raises:
        RuntimeError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="triojob-benchmarks-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-u", *COMMANDS[kind]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "GRADIO_TEMP_DIR": folder, "PYTHONWARNINGS": "ignore"},
        )
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if line.startswith("READY "):
                        url = f"http://127.0.0.1:{line.split()[1]}"
                        yield Server(kind, url, process.pid)
                        break
                else:
                    raise RuntimeError(f"the {kind} server did not start: is Gradio installed?")
            finally:
                process.kill()
