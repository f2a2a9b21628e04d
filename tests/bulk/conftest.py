"""A scripted server in a thread, with what the tests of batches call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bulk.support import BulkServer


@pytest.fixture
def server() -> Iterator[BulkServer]:
    """Serve for one test."""
    server = BulkServer()
    yield server
    server.close()
