"""What the guards around each test find."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.support.leftovers import Leftovers
from triojob import _secrets

ROOT = Path(__file__).parent.parent

HANGING = """
import threading
import trio

def test_thread():
    threading.Event().wait()

async def test_shielded_task():
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

async def test_swallowed(autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever, name="helper that hangs")
        try:
            await trio.to_thread.run_sync(threading.Event().wait, abandon_on_cancel=True)
        except trio.Cancelled:
            nursery.cancel_scope.cancel()

async def test_next():
    await trio.sleep(0)
"""
ENDING = """
import os

def test_before():
    pass

def test_exit():
    os._exit(0)

def test_after():
    pass
"""
CONFTEST = """
from tests.support.hanging import Watchdog
from tests.support.plugin import pytest_xdist_make_scheduler

def pytest_configure(config):
    config.pluginmanager.register(Watchdog(0.5, again=0.5))
"""


@pytest.mark.full
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends a signal")
def test_hanging_and_crashing_tests_fail_alone(tmp_path: Path) -> None:
    (tmp_path / "test_ending.py").write_text(ENDING)
    (tmp_path / "test_hanging.py").write_text(HANGING)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    options = ("-c", os.devnull, "-o", "trio_mode=true", "-n", "2", "--dist=loadfile")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 failed, 3 passed" in done.stdout
    assert "crashed while running 'test_ending.py::test_exit'" in done.stdout
    assert done.stdout.count("hung for 0.5 s") >= 3
    assert "--- task helper that hangs ---" in done.stdout
    assert "--- thread MainThread ---" in done.stdout


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "current directory": lambda patch: patch.chdir(ROOT),
    "environment": lambda patch: patch.setenv("TRIOJOB_LEFT", "1"),
    "exception hooks": lambda patch: patch.setattr(sys, "excepthook", print),
    "import path": lambda patch: patch.setattr(sys, "path", [*sys.path, "left"]),
    "loggers": lambda patch: patch.setattr(logging.getLogger("triojob.left"), "propagate", False),
    "Trio's random generator": lambda patch: patch.setattr(trio._core._run, "_r", random.Random()),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_state_is_found(name: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        leftovers = Leftovers()
        assert not leftovers.find()
        CHANGES[name](patch)
        (found,) = leftovers.find()
    assert found.startswith(f"the {name} is ")


def test_handlers_and_traces_are_found() -> None:
    leftovers = Leftovers()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN), sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        found = leftovers.find()
    finally:
        sys.setprofile(before[1])
        signal.signal(signal.SIGTERM, before[0])
    assert [sentence.split(" is ")[0] for sentence in found] == [
        "the profile function",
        "the signal handlers",
    ]
    assert not leftovers.find()


def test_secrets_of_new_clients_are_forgotten() -> None:
    kept = _secrets.Secrets()
    kept.add("before")
    leftovers = Leftovers()
    left = _secrets.Secrets()
    left.add("after")
    leftovers.forget_clients()
    assert _secrets.scrub("before after") == "*** after"
    del kept, left
