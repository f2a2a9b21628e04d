"""Replicas for the tests of pools."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.pool.support import Replicas, replicas


@pytest.fixture
async def three() -> AsyncIterator[Replicas]:
    async with replicas(3) as found:
        yield found
