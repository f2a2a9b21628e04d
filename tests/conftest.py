"""Servers for the tests: a real Gradio app in its own process, and scripted ones in this one."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.servers.scripted import ScriptedServer, open_server

GRADIO_APP = Path(__file__).parent / "servers" / "gradio_app.py"
BOOT_SECONDS = 180
# A process of its own group can be ended with all its children, where there are process groups.
HAS_PROCESS_GROUPS = hasattr(os, "killpg")

REAL_FIXTURES = frozenset({"gradio_url", "start_gradio", "era", "rig"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the real server."""
    for item in items:
        if REAL_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)


class GradioProcess:
    """A real Gradio server, which serves as long as this object isn't stopped."""

    def __init__(
        self,
        flags: tuple[str, ...],
        env: Mapping[str, str],
        *,
        python: str = sys.executable,
        app: Path = GRADIO_APP,
    ) -> None:
        options = ("--port", "0", "--watch-stdin") if app == GRADIO_APP else ()
        self.process = subprocess.Popen(
            [python, "-u", str(app), *options, *flags],
            # Closed when this process ends, however it ends: then the server ends too.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **env},
            start_new_session=HAS_PROCESS_GROUPS,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._output: list[str] = []
        # Read all the time: a server whose output nobody reads stops when the pipe is full.
        self._reader = threading.Thread(target=self._read, name="gradio output", daemon=True)
        self._reader.start()
        try:
            self.ready = self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        """Where the app is, or the first of several."""
        return f"http://127.0.0.1:{self.ready[0]}"

    @property
    def output(self) -> str:
        """What the server printed."""
        return "".join(self._output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                text = line.decode(errors="replace")
                self._output.append(text)
                self._lines.put(text)
        self._lines.put(None)

    def _wait_until_ready(self) -> list[str]:
        """Return what it says when it is ready: its ports come first."""
        deadline = time.monotonic() + BOOT_SECONDS
        with contextlib.suppress(queue.Empty):
            while (left := deadline - time.monotonic()) > 0:
                line = self._lines.get(timeout=left)
                if line is None:
                    break
                if line.startswith("READY "):
                    return line.split()[1:]
        raise RuntimeError(f"The Gradio app did not start. It said:\n{self.output}")

    def kill(self) -> None:
        """End it and its children at once, without a goodbye."""
        self._end(getattr(signal, "SIGKILL", signal.SIGTERM))

    def terminate(self) -> None:
        """Ask it and its children to end, and insist after a while."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process.poll() is None:
            self._signal(number)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                self.process.wait(timeout=10)
        self._reader.join(timeout=10)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _signal(self, number: int) -> None:
        if not HAS_PROCESS_GROUPS:
            self.process.terminate()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


StartGradio = Callable[..., GradioProcess]


@pytest.fixture(scope="session")
def _gradio_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keep uploads and the like out of the machine's own folders."""
    return {"GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio"))}


@pytest.fixture(scope="session")
def gradio_url(_gradio_env: dict[str, str]) -> Iterator[str]:
    """Give the URL of a real Gradio app that all tests share."""
    server = GradioProcess((), _gradio_env)
    yield server.url
    server.terminate()


@pytest.fixture(scope="module")
def start_gradio(_gradio_env: dict[str, str]) -> Iterator[StartGradio]:
    """Start real Gradio apps with flags of `gradio_app.py`; they end with the module."""
    servers: list[GradioProcess] = []

    def start(*flags: str, env: Mapping[str, str] | None = None) -> GradioProcess:
        server = GradioProcess(flags, {**_gradio_env, **(env or {})})
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.terminate()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """Serve an empty scripted app on a loopback socket: add endpoints to `scripted.app`."""
    async with open_server() as server:
        yield server


@pytest.fixture
async def memory_app() -> AsyncIterator[ScriptedServer]:
    """Serve an empty scripted app in memory, reached by `memory_app.transport()`.

    Nothing in it waits for real time, so that it goes with `autojump_clock`.
    """
    async with open_server(memory=True) as server:
        yield server
