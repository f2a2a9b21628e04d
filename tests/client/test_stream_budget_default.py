"""How many event streams a client may have if nobody says: the descriptor limit counts."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from tests.support.hanging import SECONDS
from triojob import Client, Limits

resource = pytest.importorskip("resource", reason="a limit of descriptors is a thing of Unix")

URL = "http://app.test"


@pytest.mark.parametrize(
    "soft, streams", [(1, 1), (100, 1), (130, 1), (200, 36), (256, 64), (640, 256), (10**6, 256)]
)
def test_default_budget_leaves_descriptors_to_program(monkeypatch, soft, streams):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, 10**6))
    assert Client(URL).limits.streams == streams


def test_unlimited_descriptors_make_budget_256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert Client(URL).limits.streams == 256


def test_unknown_limit_makes_budget_256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert Client(URL).limits.streams == 256


def test_budget_can_be_set_whatever_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 100))
    assert Client(URL, limits=Limits(streams=1000)).limits.streams == 1000


@pytest.mark.parametrize("soft, streams", [(10**6, 32), (150, 11)])
def test_own_http_client_has_smaller_budget(monkeypatch, soft, streams):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, 10**6))
    client = Client(URL, http_client=httpx.AsyncClient())
    assert client.limits.streams == streams


@pytest.mark.parametrize("streams", [0, -1])
def test_a_budget_of_nothing_is_refused(streams: int) -> None:
    with pytest.raises(ValueError, match=r"Limits\.streams must be a positive integer"):
        Client(URL, limits=Limits(streams=streams))


def test_few_descriptors_make_small_budget() -> None:
    program = f"""
import resource
from triojob import Client

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (180, hard))
print(Client({URL!r}).limits.streams)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout == "26\n"
