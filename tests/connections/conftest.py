"""A server of the tests in here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from .support import Peer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """Give a server in memory."""
    async with trio.open_nursery() as nursery:
        yield Peer(nursery)
        nursery.cancel_scope.cancel()
