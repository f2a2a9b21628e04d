"""Measure how much memory a large file takes on its way to an app and back.

``python benchmarks/files_memory.py`` sends 1 GiB to a real Gradio app on this machine and has it
sent back, and prints by how much this process's peak memory grew on each way.  It fails if that is
more than 64 MiB.  It needs three times the size on disk, and a system that tells of its peak.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import trio

from triojob import Client, File, handle_file

GRADIO_APP = Path(__file__).parent.parent / "tests" / "servers" / "gradio_app.py"
MIB = 2**20


def peak() -> float:
    """Return the peak memory (RSS) of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not by getrusage: there Linux counts what the process was before it ran this program.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / MIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def digest(path: Path) -> str:
    """Hash a file piece by piece."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MIB):
            hashed.update(block)
    return hashed.hexdigest()


def write_source(path: Path, mib: int) -> None:
    """Write what can't be made smaller on the way."""
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


@contextmanager
def gradio_app(folder: Path) -> Generator[str, None, None]:
    """Run the app of the tests in a process of its own; give its URL."""
    env = {**os.environ, "GRADIO_TEMP_DIR": str(folder), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-u", str(GRADIO_APP)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("READY "):
                    yield f"http://127.0.0.1:{line.split()[1]}"
                    break
            else:
                raise RuntimeError("the app did not start")
        finally:
            process.kill()


async def measure(url: str, source: Path, folder: Path) -> dict[str, float]:
    """Send the file and fetch it; return the growth of the peak on each way, in MiB."""
    grown: dict[str, float] = {}
    async with Client(url, download_files=False) as client:
        join = client.endpoint("/join_files")
        # What a first call costs is none of the file's business.
        [warm] = await join([handle_file(b"warm", name="warm.bin")])
        assert isinstance(warm, File)
        await warm.save(folder / "warm.bin")

        before, start = peak(), time.monotonic()
        [file] = await join([handle_file(source)])
        grown["upload"] = peak() - before
        print(f"up:   {time.monotonic() - start:6.1f} s, peak grew by {grown['upload']:.1f} MiB")

        before, start = peak(), time.monotonic()
        saved = await file.save(folder / "saved.bin")
        grown["download"] = peak() - before
        print(f"down: {time.monotonic() - start:6.1f} s, peak grew by {grown['download']:.1f} MiB")
    assert digest(saved) == digest(source)
    return grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--url", help="of an app that runs already; None to start one")
    parser.add_argument("--bound", type=float, default=64, help="MiB of growth that are allowed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.bin"
        write_source(source, options.mib)
        app = nullcontext(options.url) if options.url else gradio_app(folder / "gradio")
        with app as url:
            grown = trio.run(measure, url, source, folder)
    total = sum(grown.values())
    print(f"{options.mib} MiB each way: peak memory grew by {total:.1f} MiB")
    if total > options.bound:
        sys.exit(f"that is more than {options.bound:g} MiB")


if __name__ == "__main__":
    main()
