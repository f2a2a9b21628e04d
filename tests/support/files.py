"""What these tests share: a client of a scripted app in memory, and apps that give files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.servers.scripted import Event, ScriptedServer
from triojob import Client
from triojob.testing.components import file, json_value

META = {"_type": "gradio.FileData"}


@asynccontextmanager
async def opened(server: ScriptedServer, **options: Any) -> AsyncIterator[Client]:
    async with Client(server.url, transport=server.transport(), **options) as client:
        yield client


def file_data(path: str, **changes: Any) -> dict[str, Any]:
    """Describe a file as Gradio 6 does."""
    value = {
        "path": path,
        "url": None,
        "size": None,
        "orig_name": path.rpartition("/")[2],
        "mime_type": None,
        "is_stream": False,
        "meta": META,
    }
    return {**value, **changes}


def serve_files(server: ScriptedServer, *files: dict[str, Any] | Any, name: str = "give") -> None:
    """Add an endpoint whose outputs are these values."""

    @server.app.endpoint(name, outputs=[json_value(f"out {place}") for place in range(len(files))])
    async def give(event: Event) -> None:
        await event.completed(list(files))


async def say_ok(event: Event) -> None:
    await event.completed(["ok"])


def serve_echo(server: ScriptedServer) -> None:
    """Add an endpoint that takes a file and anything else, and is content."""
    inputs = [file("file"), json_value("rest")]
    server.app.add("echo", say_ok, inputs=inputs, optional=["file", "rest"])


def sent(server: ScriptedServer) -> list[Any]:
    """Return the data of the last call."""
    data: list[Any] = server.joins[-1]["data"]
    return data


def everything_in(folder: Path) -> list[str]:
    """List all that is in a folder, however deep."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
