"""What the tests with threads share: a server in a thread, watched threads, and scripts."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from tests.servers.scripted import Event, GradioError, ScriptedServer, open_server
from tests.support.hanging import SECONDS
from triojob import JobGroup
from triojob.sync import Portal
from triojob.testing.components import number

HAS_FORK = hasattr(os, "fork")


class ServerThread:
    """A scripted server on a loopback socket, in a thread with a Trio run of its own."""

    def __init__(self) -> None:
        self.server: Any = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), daemon=True)
        self._thread.start()
        assert self._ready.wait(SECONDS)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._closing = trio.Event()
        async with open_server() as self.server:
            add_endpoints(self.server)
            self._ready.set()
            await self._closing.wait()

    @property
    def url(self) -> str:
        return str(self.server.url)

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function in the server's thread."""
        return trio.from_thread.run_sync(fn, *args, trio_token=self._token)

    def until(self, condition: Callable[[ScriptedServer], Any]) -> None:
        """Wait for the server to be in a state; polled, as it has no way to tell."""
        wait_for(lambda: self.call(condition, self.server), lambda: repr(self.server))

    def until_states(self, *states: str) -> None:
        """Wait until the events that came have come to these states."""
        self.until(lambda server: [event.state for event in server.events.values()] == [*states])

    def until_told(self, count: int) -> None:
        """Wait until the server has heard of so many cancellations, and runs nothing.

        A generator may find its stream closed before the cancellation strikes.
        """
        self.until(lambda server: len(server.cancels) == count and not server.running)

    def close(self) -> None:
        trio.from_thread.run_sync(self._closing.set, trio_token=self._token)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


def add_endpoints(server: ScriptedServer) -> None:
    """Add the endpoints that these tests call."""

    @server.app.endpoint(inputs=["name"])
    async def greet(event: Event) -> None:
        await event.completed([f"Hello {event.data[0]}!"])

    @server.app.endpoint(inputs=["text"])
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    @server.app.endpoint(inputs=["text"])
    async def fail(event: Event) -> None:
        raise GradioError(event.data[0])

    @server.app.endpoint(inputs=[number("n")], generator=True)
    async def count(event: Event) -> None:
        for step in range(int(event.data[0])):
            await event.generating([str(step)])

    @server.app.endpoint(inputs=["text"], generator=True)
    async def endless(event: Event) -> None:
        for step in range(10**9):
            await event.generating([str(step)])
            await trio.sleep(0.02)

    @server.app.endpoint(inputs=[number("seconds"), "text"])
    async def pause(event: Event) -> None:
        await trio.sleep(event.data[0])
        await event.completed([event.data[1]])


def wait_for(
    condition: Callable[[], Any],
    told: Callable[[], object] = lambda: "",
    seconds: float = SECONDS,
) -> None:
    """Poll until ``condition()`` holds, for what has no way to tell."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"that never came to be: {told()}"
        time.sleep(0.01)


class Watched(threading.Thread):
    """A thread whose result or failure is raised in the test."""

    def __init__(self, fn: Callable[..., Any], *args: Any) -> None:
        super().__init__(daemon=True)
        self._work = (fn, args)
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        fn, args = self._work
        try:
            self._value = fn(*args)
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self._error = error

    def get(self) -> Any:
        self.join(SECONDS)
        assert not self.is_alive(), "the thread hangs"
        if self._error is not None:
            raise self._error
        return self._value


def blocked(thread: threading.Thread, name: str = "wait_until") -> bool:
    """Tell whether a thread waits inside a function of this name."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


def wait_until_blocked(thread: threading.Thread, name: str = "wait_until") -> None:
    wait_for(lambda: blocked(thread, name))


def threads() -> set[threading.Thread]:
    """Return the threads that live, but for those that Trio keeps to use again."""
    return {t for t in threading.enumerate() if not t.name.startswith("Trio")}


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Script:
    """A Python script in a process of its own, the lines of which can be waited for."""

    def __init__(self, folder: Path, code: str, *arguments: str) -> None:
        path = folder / "script.py"
        path.write_text(code, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-X", "faulthandler", "-u", str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Wait for the next line that the script prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            self.process.kill()
            raise AssertionError(f"it ended: {self.process.communicate()}")
        return line

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, the rest of the output, and stderr."""
        try:
            out, err = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            # Not its children, which may hold the pipes open.
            raise AssertionError("it hangs") from None
        return self.process.returncode, out.strip(), err.strip()


@contextmanager
def opened_group(portal: Portal, **options: Any) -> Iterator[JobGroup]:
    """Open a group in the Trio run behind a portal."""
    opened: queue.SimpleQueue[tuple[JobGroup, trio.Event]] = queue.SimpleQueue()

    async def keep_open() -> None:
        async with JobGroup(**options) as group:
            opened.put((group, closing := trio.Event()))
            await closing.wait()

    keeper = Watched(portal.call, keep_open)
    group, closing = opened.get(timeout=SECONDS)
    try:
        yield group
    finally:
        trio.from_thread.run_sync(closing.set, trio_token=group.trio_token)
        keeper.get()
