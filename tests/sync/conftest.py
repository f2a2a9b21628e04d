"""Both clients on the real server, and scripted servers for threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sync.support import Pair, opened
from tests.sync.threads_support import ServerThread


@pytest.fixture(scope="session", autouse=True)
def _no_telemetry() -> Iterator[None]:
    """Have gradio_client tell nobody of itself: its own option is not enough for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield


@pytest.fixture(scope="module")
def pair(gradio_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Open both clients on the app that all tests share."""
    with opened(gradio_url, tmp_path_factory.mktemp("files")) as both:
        yield both


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ServerThread]:
    """Serve for all tests of the module: its record has the events of all of them."""
    server = ServerThread()
    yield server
    server.close()


@pytest.fixture
def own_server() -> Iterator[ServerThread]:
    """Serve for one test."""
    server = ServerThread()
    yield server
    server.close()
