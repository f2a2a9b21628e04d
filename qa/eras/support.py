"""What the tests of the eras share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.support.gradio import GradioProcess
from tests.support.real import SECONDS, probe
from triojob import Client

PROTOCOLS = {
    (4, 22): "sse_v3",
    (4, 21): "sse_v2.1",
    (4, 17): "sse_v2",
    (4, 9): "sse_v1",
    (4, 0): "sse",
    (3, 0): "ws",
}
"""From which release on an app speaks which protocol."""


USERNAME, PASSWORD = "trio", "s3cret"
WAITING = 3
"""How many calls may wait on the narrow variant."""


class Era:
    """A server of some release: three variants of `app.py`."""

    def __init__(self, process: GradioProcess) -> None:
        self.process = process
        *ports, self.release = process.ready
        self.wide, self.narrow, self.guarded = (f"http://127.0.0.1:{port}" for port in ports)
        major, minor = self.release.split(".")[:2]
        self.version = (int(major), int(minor))
        self.protocol = next(name for start, name in PROTOCOLS.items() if self.version >= start)
        self.instead_of_it: str | None = None

    def instead(self, what: str) -> None:
        """Record that this release can't do it, why, and what is done instead.

        The test asserts what that is; the text becomes a note of the table.
        """
        self.instead_of_it = what


def behaviour(group: str, name: str) -> Callable[[Any], Any]:
    """Say which cell of the table a test fills."""
    return pytest.mark.behaviour(group, name)


async def assert_stopped(client: Client, key: str) -> None:
    """Show that the server's generator with this key, which had started, goes no step further."""
    before: dict[str, int] = {}
    with trio.fail_after(SECONDS):
        while (record := await probe(client, key)) != before:
            before = record
            await trio.sleep(1)  # ten of its steps
    assert record["started"] == 1
    assert "finished" not in record
