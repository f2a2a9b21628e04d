"""Fixtures for pytest: ``pytest_plugins = ["triojob.testing.pytest"]`` in the top ``conftest.py``.

They are not registered automatically (by an entry point), so that a test run with triojob installed
neither imports this module nor gets unwanted fixture names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from ._process import GradioProcess, StartGradio, run_gradio


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
