"""Both clients on the real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qa.differential.support import Pair, opened


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
