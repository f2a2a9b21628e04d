"""The hub and the host of a Space, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.hub import Origins, open_origins
from tests.servers.scripted import Event


@pytest.fixture(autouse=True)
def _no_hub_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """See to it that nothing depends on who runs the tests."""
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def origins() -> AsyncIterator[Origins]:
    """Serve the hub, the host of the Space `ada/story`, and a stranger."""
    async with open_origins() as opened:

        @opened.host.app.endpoint(inputs=["name"])
        async def greet(event: Event) -> None:
            await event.completed([f"Hello {event.data[0]}!"])

        yield opened
