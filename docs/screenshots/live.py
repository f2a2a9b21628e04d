"""Draw the picture of the live view in docs/live.md: a real run against the app of the demo.

``python docs/screenshots/live.py`` writes ``live.svg`` to its own folder, or to the file in its
argument.
It needs ``pip install "triojob[demo]"`` and takes about 10 seconds.
"""

import io
import itertools
import os
import re
import sys
from pathlib import Path

import trio
from rich.console import Console

import triojob
from triojob import AppError, Client, Job, JobGroup
from triojob._cli.demo import Served, serve_app
from triojob._cli.demo_acts import VIEWS

TARGET = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("live.svg")
# Fonts that rich's pictures would load from another server.
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


async def main() -> None:
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    console = Console(
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        width=72,  # more would be too small to read on a telephone, 420 pixels wide
        height=15,
        legacy_windows=False,
    )
    async with trio.open_nursery() as nursery:
        app: Served = await nursery.start(serve_app, 0)
        async with Client(app.url) as client:
            await watch(client, console)
        nursery.cancel_scope.cancel()


async def watch(client: Client, console: Console) -> None:
    """Show some jobs, draw the picture when it has lines of all kinds, and stop them."""
    titles: dict[Job[str], str] = {}
    async with JobGroup(limit=8) as group:
        with trio.CancelScope() as showing:
            async with triojob.live(group, total=40, title=titles.get, console=console):
                failing = group.submit(client.endpoint("/oracle"), "Tell me something.")
                group.submit(client.endpoint("/story"), "Ada", sentences=20)
                render = client.endpoint("/render")
                for number, view in zip(range(1, 39), itertools.cycle(VIEWS), strict=False):
                    titles[group.submit(render, view, rows=24)] = f"{number} {view.split()[0]}"
                await trio.sleep(4)
                console.export_text()  # forget the earlier drawings
                while not console.export_text(clear=False).strip():  # noqa: ASYNC110 - a drawing
                    await trio.sleep(0.01)
                take(console)
                showing.cancel()
        assert isinstance(failing.exception(), AppError)
        group.cancel_scope.cancel()


def take(console: Console) -> None:
    """Write the picture of the last drawing."""
    picture = console.export_svg(
        title="async with triojob.live(group, total=40):", unique_id="triojob-live"
    )
    picture = "\n".join(line.rstrip() for line in FONT_FACE.sub("", picture).splitlines())
    TARGET.write_text(f"{picture}\n", encoding="utf-8")


trio.run(main)
