"""The demo as a newcomer runs it: a process of its own, ended in every way that there is."""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

import triojob
from tests.support.hanging import SECONDS

DEMO = (sys.executable, "-m", "triojob", "demo")
# Runs a program in a terminal: its own stdin and stdout are the keyboard and the screen.
IN_TERMINAL = (
    sys.executable,
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
)

needs_signals = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="finds processes in /proc"
)


class Demo:
    """A running demo."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    async def until(self, text: str) -> None:
        """Read its output until ``text`` was in it."""
        while text not in self.output:
            assert await self._read(), f"it ended without saying {text!r}:\n{self.output}"

    async def end(self) -> int:
        """Read all its output; return its exit code."""
        while await self._read():
            pass
        return await self.process.wait()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        chunk = await self.process.stdout.receive_some()
        # A chunk may end within a character.
        self.output += self._decoder.decode(chunk)
        return bool(chunk)

    @property
    def app_pid(self) -> int:
        """The process of the app, as the demo says it."""
        _, _, rest = self.output.partition("The app runs in process ")
        return int(rest.partition(".")[0])


@asynccontextmanager
async def start_demo(*args: str, command: tuple[str, ...] = DEMO) -> AsyncIterator[Demo]:
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*command, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "12"},
            # A process group of its own, as a shell gives to each of its commands.
            start_new_session=True,
        )
        try:
            yield Demo(process)
        finally:
            # What the demo starts ends with it, even then: that is what some tests here show.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def run(*command: str) -> tuple[int, str, str]:
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A dead process whose new parent has not asked for its exit code: "pid (name) Z ...".
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return state.split()[0] not in ("Z", "X")


async def wait_until(condition: Callable[[], bool]) -> None:
    # Polls: nobody tells us what becomes of a process that is not our child.
    while not condition():  # noqa: ASYNC110 - see above
        await trio.sleep(0.02)


def children(pid: int) -> list[int]:
    pids: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        pids += map(int, file.read_text(encoding="utf-8").split())
    return pids


async def first_child(pid: int) -> int:
    await wait_until(lambda: bool(children(pid)))
    return children(pid)[0]


def assert_stopped(demo: Demo) -> None:
    assert demo.output.rstrip().endswith("Stopped. All jobs and processes have ended.")
    assert "Traceback" not in demo.output
    assert "Error" not in demo.output


# --- To the end ---


@pytest.mark.real
async def test_it_plays_to_the_end() -> None:
    async with start_demo("--plain", "--jobs", "4", "--limit", "3") as demo:
        code = await demo.end()
    output = demo.output
    assert code == 0, output
    assert "/render(view, rows) -> picture" in output
    assert "takes one of ['Pig Latin', 'Leet', 'Mirror'], not 'Klingon'" in output
    assert "The app returned: ellohay orldway" in output
    # One of four was over the group's limit; a job that was, ended all the same.
    assert " waiting, 0 done; 0 of 4 ended" in output
    assert "\n4 done; 4 of 4 ended" in output
    assert "4 pictures" in output
    assert "outputs from one job" in output
    # 300 rows would take 20 seconds; and the app itself says that they were not drawn.
    assert "JobCancelled: /render was cancelled: seen enough" in output
    assert "The app's record: cancelled after" in output
    assert "JobTimeout: /render has not ended within 0.5 s" in output
    assert "the job finished after 24 rows, the call cancelled after" in output
    assert "AppError: The oracle is offended: That was no question." in output
    assert "\x1b" not in output
    assert "Traceback" not in output
    assert not is_running(demo.app_pid)


@pytest.mark.full
@pytest.mark.real
@needs_signals
async def test_it_plays_to_end_in_terminal() -> None:
    # More jobs than the terminal has room for.
    async with start_demo("--jobs", "8", command=(*IN_TERMINAL, *DEMO)) as demo:
        code = await demo.end()
    assert code == 0, demo.output
    assert "8 of 8 ended" in demo.output
    assert "8 pictures" in demo.output
    assert "AppError: The oracle is offended" in demo.output
    assert "Traceback" not in demo.output
    assert demo.output.rfind("\x1b[?25h") > demo.output.rfind("\x1b[?25l")
    assert not is_running(demo.app_pid)


@pytest.mark.full
@pytest.mark.real
@needs_signals
async def test_in_terminal_ctrl_c_gives_terminal_back() -> None:
    async with start_demo(command=(*IN_TERMINAL, *DEMO)) as demo:
        await demo.until("running")
        # Live: the cursor is hidden, and the table is drawn over and over.
        assert "\x1b[?25l" in demo.output
        assert demo.process.stdin is not None
        await demo.process.stdin.send_all(b"\x03")
        assert await demo.end() == 130
    assert demo.output.rfind("\x1b[?25h") > demo.output.rfind("\x1b[?25l")
    assert_stopped(demo)
    assert not is_running(demo.app_pid)


@pytest.mark.full
@pytest.mark.real
async def test_the_reader_may_go_away() -> None:
    async with start_demo("--plain") as demo:
        await demo.until("client.view_api()")
        assert demo.process.stdout is not None
        await demo.process.stdout.aclose()
        await demo.process.wait()
        assert not is_running(demo.app_pid)


# --- Signals ---


def kill_group(pid: int, number: int) -> None:
    os.killpg(pid, number)


@pytest.mark.real
@needs_signals
@pytest.mark.parametrize(
    "send, number",
    [
        (kill_group, signal.SIGINT),  # Ctrl-C in a shell
        pytest.param(os.kill, signal.SIGINT, marks=pytest.mark.full),
        pytest.param(os.kill, signal.SIGTERM, marks=pytest.mark.full),
    ],
)
async def test_a_signal_ends_it_in_order(send, number):
    async with start_demo("--plain") as demo:
        await demo.until("running")
        send(demo.process.pid, number)
        assert await demo.end() == 128 + number
    assert_stopped(demo)
    assert not is_running(demo.app_pid)


@pytest.mark.full
@pytest.mark.real
@needs_signals
@needs_proc
async def test_a_signal_while_the_app_starts() -> None:
    async with start_demo("--plain") as demo:
        await demo.until("Starting")
        app = await first_child(demo.process.pid)
        kill_group(demo.process.pid, signal.SIGINT)
        assert await demo.end() == 130
    assert_stopped(demo)
    assert not is_running(app)


@pytest.mark.full
@pytest.mark.real
@needs_signals
async def test_app_does_not_outlive_killed_demo() -> None:
    async with start_demo("--plain") as demo:
        await demo.until("running")
        assert is_running(demo.app_pid)
        os.kill(demo.process.pid, signal.SIGKILL)
        await wait_until(lambda: not is_running(demo.app_pid))


@pytest.mark.full
@pytest.mark.real
@needs_signals
@needs_proc
async def test_app_dies_with_killed_starting_demo() -> None:
    async with start_demo("--plain") as demo:
        await demo.until("Starting")
        app = await first_child(demo.process.pid)
        os.kill(demo.process.pid, signal.SIGKILL)
        await wait_until(lambda: not is_running(app))


# --- The app fails ---


@pytest.mark.full
@pytest.mark.real
@needs_signals
async def test_the_app_dies_in_the_middle() -> None:
    async with start_demo("--plain") as demo:
        await demo.until("running")
        os.kill(demo.app_pid, signal.SIGKILL)
        assert await demo.end() == 1
    assert "Error: the app exited with code -9; its last line of output:" in demo.output
    assert "Traceback" not in demo.output


@pytest.mark.full
@pytest.mark.real
async def test_the_app_cannot_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with start_demo("--plain", "--port", str(port)) as demo:
            assert await demo.end() == 1
    # With what the app said of it.
    assert f"Cannot find empty port in range: {port}-{port}" in demo.output
    assert "Traceback" not in demo.output


# --- The command line ---


def in_python_without(module: str) -> Callable[..., object]:
    code = f"import sys; sys.modules[{module!r}] = None; import triojob.__main__ as m; m.main()"
    return partial(run, sys.executable, "-c", code)


@pytest.mark.parametrize("module, extra", [("click", "cli"), ("rich", "cli"), ("gradio", "demo")])
async def test_a_missing_extra(module: str, extra: str) -> None:
    code, stdout, stderr = await in_python_without(module)("demo")
    assert (code, stdout) == (8, "")
    (line,) = stderr.splitlines()
    assert f"needs {module}, which is not installed" in line
    assert line.endswith(f"pip install 'triojob[{extra}]'")


async def test_importing_triojob_imports_no_extra() -> None:
    code = "import sys, triojob; print(sorted({'click', 'rich', 'gradio'} & set(sys.modules)))"
    assert await run(sys.executable, "-c", code) == (0, f"[]{os.linesep}", "")


async def test_version() -> None:
    code, stdout, _ = await run(sys.executable, "-m", "triojob", "--version")
    assert (code, stdout.split()) == (0, ["triojob", triojob.__version__])


async def test_help() -> None:
    code, stdout, _ = await run(sys.executable, "-m", "triojob", "--help")
    assert code == 0
    assert "triojob demo" in stdout
    code, stdout, _ = await run(*DEMO, "--help")
    assert code == 0
    for option in ("--jobs", "--limit", "--port", "--plain"):
        assert option in stdout


async def test_a_wrong_option() -> None:
    code, _, stderr = await run(*DEMO, "--jobs", "0")
    assert code == 2
    assert "0 is not in the range" in stderr
