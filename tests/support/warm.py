"""Python programs that start at once: forks of a process which has imported what they need."""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

SECONDS = 240
"""As in `tests.support.hanging`, which the process that is forked has no use for."""


class WarmPython:
    """Runs programs, one after the other.

    Starting Python and importing triojob takes half a second, and the tests run many programs.
    Where Python can't fork, it starts for each of them.

    Args:
        options: Python's options.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] = os.environ,
        stdin: bytes = b"",
    ) -> tuple[int, str, str]:
        """Run ``python ARGUMENTS`` to its end; return its exit code, output and errors."""
        if sys.platform == "win32":
            done = subprocess.run(
                [sys.executable, *self._options, *arguments],
                cwd=cwd,
                env=env,
                input=stdin,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            return done.returncode, done.stdout.decode(), done.stderr.decode()
        with self._lock, TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
            files[0].write_bytes(stdin)
            request = {
                "arguments": arguments,
                "cwd": str(cwd or Path.cwd()),
                "env": dict(env),
                "files": [str(file) for file in files],
            }
            code = self._ask(json.dumps(request))
            return code, files[1].read_text("utf-8"), files[2].read_text("utf-8")

    def _ask(self, request: str) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, *self._options, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            atexit.register(self._process.communicate)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@cache
def warm_python(*options: str) -> WarmPython:
    """Return the one with these options that all tests of this process share."""
    return WarmPython(*options)


def main() -> None:
    """Fork for each request that comes by stdin, and say how the fork ended."""
    del sys.path[0]  # this folder, in which there is a `gradio`
    import triojob._cli.app
    import triojob.sync  # noqa: F401 - for the forks

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become(**json.loads(line))
            return
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def become(arguments: list[str], cwd: str, env: dict[str, str], files: list[str]) -> None:
    """Become the program, whose end is that of this process."""
    signal.alarm(SECONDS)  # ends what hangs
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.orig_argv = [sys.executable, *arguments]
    for number, file in enumerate(files):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, cwd)
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv, path = arguments, Path(arguments[0])
    sys.path.insert(0, str(path.parent))
    program = types.ModuleType("__main__")
    program.__file__ = str(path)
    sys.modules["__main__"] = program
    exec(compile(path.read_bytes(), path, "exec"), vars(program))


if __name__ == "__main__":
    main()
