"""The scripted server of the tests of batches, for workers of engines."""

from __future__ import annotations

from tests.bulk.conftest import server as server  # noqa: PLC0414 - a fixture
