"""What the tests of clients share."""

from __future__ import annotations

import pytest

from tests.servers.direct import go_direct


@pytest.fixture(params=["httpx", "direct"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test twice: over httpx's connections, and over those that clients make themselves.

    A client that is given a transport, as all those in memory are, would use httpx only.
    """
    if request.param == "direct":
        go_direct(monkeypatch)
