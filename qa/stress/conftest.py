"""The scripted servers of the tests of threads."""

from __future__ import annotations

from tests.sync.conftest import own_server, shared_server

__all__ = ["own_server", "shared_server"]
