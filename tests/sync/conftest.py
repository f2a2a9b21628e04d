"""Scripted servers for threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.threads import ServerThread


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
