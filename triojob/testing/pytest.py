"""Fixtures for pytest: ``pytest_plugins = ["triojob.testing.pytest"]`` in the top ``conftest.py``.

They are not registered automatically (by an entry point), so that a test run with triojob installed
neither imports this module nor gets unwanted fixture names.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from ._process import GradioProcess, StartGradio, run_gradio
from ._recordings.player import RecordedApp
from ._recordings.relay import RelayApp, record
from ._served import OpenApp, ServedApp

_MODES = ("replay", "record", "live")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting that choose what `recorded_app` does."""
    words = "the apps of the fixture recorded_app: replay recordings (the default), record, or live"
    group = parser.getgroup("triojob")
    group.addoption("--recordings", choices=_MODES, help=words)
    parser.addini("recordings", words, default=_MODES[0])


def pytest_configure(config: pytest.Config) -> None:
    """Check the setting; pytest checks the option."""
    if _mode(config) not in _MODES:
        raise pytest.UsageError(f"recordings is one of {', '.join(_MODES)}, not {_mode(config)!r}")


def _mode(config: pytest.Config) -> str:
    return str(config.getoption("recordings") or config.getini("recordings"))


@pytest.fixture
def recorded_app(request: pytest.FixtureRequest) -> OpenApp:
    """Return a function that makes an app, see `OpenApp`.

    The option ``--recordings`` and the setting ``recordings`` of pytest choose what the app is:

    - ``replay``: a `RecordedApp`, which needs no network;
    - ``record``: the real app; `record` writes the recording;
    - ``live``: the real app, without a recording.

    Recordings are in a folder ``recordings`` beside the test module, in one folder for each module.
    """
    mode = _mode(request.config)
    folder = request.path.parent / "recordings" / request.path.stem
    taken: set[Path] = set()

    def open_app(
        src: str,
        name: str | None = None,
        *,
        repeats: bool = False,
        speed: float | None = None,
        **options: Any,
    ) -> ServedApp:
        whole_name = request.node.name if name is None else f"{request.node.name}-{name}"
        # Names of parametrized tests can have any character.
        path = folder / (re.sub(r"[^\w.-]+", "-", whole_name).strip("-.") + ".jsonl")
        if path in taken:
            raise ValueError(f"this test uses {path.name} already; name= another recording")
        taken.add(path)
        if mode == "record":
            return record(src, path, **options)
        if mode == "live":
            options["max_size"] = math.inf
            return RelayApp(src, None, **options)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}: run pytest with --recordings=record once")
        return RecordedApp(path, speed=speed, repeats=repeats)

    return open_app


@pytest.fixture
def recorded_clock(request: pytest.FixtureRequest) -> trio.testing.MockClock:
    """Return a clock for a test that uses `recorded_app`: pytest-trio runs the test on it.

    In replays, it jumps to the next deadline when all tasks are blocked, as ``autojump_clock``
    does; otherwise it is as fast as the real one, as the real app is.
    """
    if _mode(request.config) == "replay":
        return trio.testing.MockClock(autojump_threshold=0)
    return trio.testing.MockClock(rate=1)


@pytest.fixture(scope="session")
def gradio_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGradio]:
    """Yield a function that starts real Gradio apps; they end with the session.

    An app that was started before with the same ``env`` is the same process.
    """
    yield from _starter(tmp_path_factory, shared=True)


@pytest.fixture(scope="module")
def fresh_gradio_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartGradio]:
    """Yield a function that starts a new Gradio process each time; they end with the module."""
    yield from _starter(tmp_path_factory, shared=False)


def _starter(factory: pytest.TempPathFactory, *, shared: bool) -> Iterator[StartGradio]:
    # Keeps uploads and other temporary files out of the machine's own folders.
    own = {"GRADIO_TEMP_DIR": str(factory.mktemp("gradio"))}
    running: dict[object, GradioProcess] = {}
    with ExitStack() as stack:

        def start(
            target: str | os.PathLike[str], *, env: Mapping[str, str] | None = None
        ) -> GradioProcess:
            key = (os.fspath(target), tuple(sorted((env or {}).items())))
            known = running.get(key)
            if shared and known is not None and known.process.poll() is None:
                return known
            app = stack.enter_context(run_gradio(target, env={**own, **(env or {})}))
            running[key] = app
            return app

        yield start
