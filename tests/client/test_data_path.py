"""The way of an output: the modules that it passes are those that the documentation lists."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType

import trio
import trio.testing

import triojob
from tests.servers.scripted import Event, open_server

PACKAGE = Path(triojob.__file__).parent
PAGE = Path(__file__).parent.parent.parent / "docs" / "how-it-works.md"
AROUND = {"_core/call", "_core/group", "_core/runs", "gradio/call"}
"""What the tasks run in that an output meets, and what refuses other Trio runs."""
STATION = re.compile(r"^\| \d+ \| `([\w/]+)` \| .+? \|(.*)\|$", re.MULTILINE)


async def test_an_output_passes_the_documented_stations() -> None:
    """Over a real socket, and with our own connections, as users have it."""
    passed: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            passed.add(path.relative_to(PACKAGE).as_posix().removesuffix(".py"))

    async with open_server() as server:
        more = trio.Event()

        @server.app.endpoint(inputs=["text"], generator=True)
        async def count(event: Event) -> None:
            await event.generating(["first"])
            await more.wait()
            await event.generating(["second"])
            await trio.sleep_forever()

        async with triojob.Client(server.url) as client:
            outputs = aiter(client.submit("x", api_name="/count"))
            assert await anext(outputs) == "first"
            await trio.testing.wait_all_tasks_blocked(0.01)
            sys.setprofile(note)
            try:
                more.set()
                assert await anext(outputs) == "second"
            finally:
                sys.setprofile(None)
            client.cancel_scope.cancel()
    rows = STATION.findall(PAGE.read_text(encoding="utf-8"))
    stations = [station for station, _ in rows]
    helpers = {name for _, cell in rows for name in re.findall(r"`([\w/]+)`", cell)}
    assert len(stations) <= 10
    assert {name for name in passed if not name.startswith("testing/")} - AROUND == {
        *stations,
        *helpers,
    }
