"""A real Gradio app in a separate process, which ends with the process that started it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

BOOT_SECONDS = 180.0
_SERVE = Path(__file__).with_name("_serve.py")
_END_SECONDS = 10
_HAS_PROCESS_GROUPS = hasattr(os, "killpg")
# A process with its own group can be ended with all its children, where process groups exist.


class GradioProcess:
    """A real Gradio app that serves until it is ended; `run_gradio` starts it.

    Args:
        command: The command to run. It prints ``READY`` and words when it serves, and ends when its
            stdin is closed.
        env: Additional environment variables, which override those of this process.
        seconds: The time limit until it serves.

    Raises:
        RuntimeError: It did not serve in time; the error shows its output.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        seconds: float = BOOT_SECONDS,
    ) -> None:
        self.process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - the caller's own
            list(command),
            # Closed when this process ends in any way: then the app ends too.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **(env or {})},
            start_new_session=_HAS_PROCESS_GROUPS,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._output: list[str] = []
        # Read continuously: a server whose output is not read blocks when the pipe is full.
        self._reader = threading.Thread(target=self._read, name="gradio output", daemon=True)
        self._reader.start()
        try:
            self.ready: list[str] = self._wait_until_ready(seconds)
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        """The app's URL."""
        return self.ready[0]

    @property
    def output(self) -> str:
        """Its output so far."""
        return "".join(self._output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                text = line.decode(errors="replace")
                self._output.append(text)
                self._lines.put(text)
        self._lines.put(None)

    def _wait_until_ready(self, seconds: float) -> list[str]:
        """Return the words that it prints when it is ready."""
        deadline = time.monotonic() + seconds
        problem = f"did not start within {seconds:g} s"
        with suppress(queue.Empty):
            while (left := deadline - time.monotonic()) > 0:
                line = self._lines.get(timeout=left)
                if line is None:
                    problem = "exited before it started to serve"
                    break
                if line.startswith("READY "):
                    return line.split()[1:]
        raise RuntimeError(f"the Gradio app {problem}; it printed:\n{self.output}")

    def kill(self) -> None:
        """End it and its children at once, without a shutdown."""
        self._end(getattr(signal, "SIGKILL", signal.SIGTERM))

    def terminate(self) -> None:
        """Ask it and its children to end, and kill them after a while."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process.poll() is None:
            self._signal(number)
            try:
                self.process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                self.process.wait(timeout=_END_SECONDS)
        self._reader.join(timeout=_END_SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _signal(self, number: int) -> None:
        if not _HAS_PROCESS_GROUPS:
            self.process.terminate()
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class StartGradio(Protocol):
    """The type of the fixtures `gradio_app` and `fresh_gradio_app`: it starts a real Gradio app."""

    def __call__(
        self, target: str | os.PathLike[str], *, env: Mapping[str, str] | None = None
    ) -> GradioProcess:
        """Start an app; see `run_gradio`."""
        ...


@contextmanager
def run_gradio(
    target: str | os.PathLike[str],
    *,
    env: Mapping[str, str] | None = None,
    seconds: float = BOOT_SECONDS,
    python: str = sys.executable,
) -> Generator[GradioProcess, None, None]:
    """Serve a real Gradio app in a separate process, on this machine, while the body runs.

    It blocks until the app responds, so call it outside of `trio.run`, as a pytest fixture does.

    Args:
        target: A script, ``"my_app.py"``, which is run up to its ``launch()``, or an app in a
            module, ``"my_package.app:demo"``.
        env: Additional environment variables for it, which override those of this process.
        seconds: The time limit until it responds.
        python: The Python to run it with, which must have Gradio.

    Raises:
        RuntimeError: It did not start, or not in time; the error shows its output.
    """
    app = GradioProcess([python, "-u", str(_SERVE), os.fspath(target)], env, seconds=seconds)
    try:
        yield app
    finally:
        app.terminate()
