"""``triojob info``: an app's endpoints, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from triojob import Client, TriojobError

from .._durable.encoding import to_json
from .._printable import printable
from ..gradio.http.urls import public_part
from ..gradio.protocol.messages import Json, is_object
from ..gradio.schema.app import AppInfo, EndpointInfo
from ..gradio.schema.parameters import Parameter
from ..gradio.schema.view import notes_of
from .connecting import Connection, time_limit
from .ending import in_options
from .snippets import examples
from .terminal import Stdout


async def info(
    connection: Connection,
    name: str | None,
    *,
    all_endpoints: bool,
    as_json: bool,
    timeout: float | None,
) -> int:
    """Show the app's endpoints; return the exit code.

    Args:
        name: One endpoint, or None for all.

    Raises:
        TriojobError: The app can't be reached, or has no such endpoint.
    """
    with time_limit(timeout, "reading the app's description"):
        async with connection.open() as client:
            url = public_part(connection.url)
            described = describe(client, url, name, all_endpoints=all_endpoints)
    stdout = Stdout()
    if as_json:
        await stdout.write_line(described)
    else:
        drawn = _draw(described, terminal=stdout.is_terminal, scripts=name is not None)
        await stdout.write_bytes(drawn)
    return 0


def describe(client: Client, url: str, name: str | None, *, all_endpoints: bool) -> dict[str, Any]:
    """Return the app's description of itself and of its endpoints.

    Args:
        url: The app, as it was typed.

    Raises:
        EndpointNotFound: There is no endpoint of that name.
    """
    app = client.app
    found = (
        app.endpoints(all_endpoints=all_endpoints) if name is None else {name: app.find(name, None)}
    )
    return {
        "url": client.src,
        "title": app.title,
        "gradio": app.version,
        "protocol": app.protocol,
        "max_file_size": app.max_file_size,
        "endpoints": [
            _endpoint(app, each, url) for each in found.values() if isinstance(each, EndpointInfo)
        ],
        "unusable": {
            each: str(error) for each, error in found.items() if isinstance(error, TriojobError)
        },
    }


def _endpoint(app: AppInfo, endpoint: EndpointInfo, url: str) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "description": endpoint.description,
        "visibility": endpoint.visibility,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "returns": [_return(item) for item in endpoint.returns],
        "streams": endpoint.streams,
        "takes_stream": endpoint.takes_stream,
        "stateful": endpoint.stateful,
        "queued": endpoint.queued,
        "oauth_token": endpoint.oauth_token,
        "notes": [in_options(note) for note in notes_of(endpoint)],
        "examples": examples(url, endpoint, app.description_of(endpoint.fn_index) or {}),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "label": parameter.label,
        "component": parameter.component,
        "type": parameter.python_type,
        "kind": parameter.kind,
        "required": parameter.required,
        "default": parameter.default,
        "choices": None if parameter.choices is None else list(parameter.choices),
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "takes_files": parameter.takes_files,
    }


def _return(item: Json) -> dict[str, Any]:
    python_type = item.get("python_type")
    return {
        "label": item.get("label"),
        "component": item.get("component"),
        "type": python_type.get("type") if is_object(python_type) else None,
    }


def _draw(described: dict[str, Any], *, terminal: bool, scripts: bool) -> bytes:
    """Draw a description: with tables on a terminal, as plain lines elsewhere.

    Args:
        scripts: Whether examples for Python are whole scripts.
    """
    console = Console(highlight=False) if terminal else Console(highlight=False, width=10_000)
    with console.capture() as capture:
        title = f"{described['title']} at " if described["title"] else ""
        versions = f"(Gradio {described['gradio']}, {described['protocol']})"
        console.print(_text(f"{title}{described['url']} {versions}", "bold"))
        for endpoint in described["endpoints"]:
            console.print()
            _draw_endpoint(console, endpoint, terminal=terminal, script=scripts)
        for name, error in described["unusable"].items():
            console.print()
            console.print(_text(name, "bold cyan"))
            console.print(_text(f"  {error}", "yellow"))
    # Lines are padded with spaces to the width of a table.
    lines = (line.rstrip() for line in capture.get().splitlines())
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _draw_endpoint(
    console: Console, endpoint: dict[str, Any], *, terminal: bool, script: bool
) -> None:
    console.print(_text(endpoint["name"], "bold cyan"))
    for line in endpoint["description"].splitlines():
        console.print(_text(f"  {line}"))
    for note in endpoint["notes"]:
        console.print(_text(f"  {note}", "yellow"))
    if endpoint["parameters"]:
        rows = [_row(parameter) for parameter in endpoint["parameters"]]
        console.print(_table(("parameter", "type", "default", "allowed"), rows, terminal=terminal))
    if endpoint["returns"]:
        shown = [
            (str(item["label"]), str(item["type"] or "Any"), str(item["component"]))
            for item in endpoint["returns"]
        ]
        console.print(_table(("returns", "type", "component"), shown, terminal=terminal))
    # Never wrapped, so that they can be pasted.
    console.print(_text(endpoint["examples"]["shell"], "green"), soft_wrap=True)
    python = endpoint["examples"]["python" if script else "python_call"]
    console.print(_text(f"\n{python}" if script else python, "green"), soft_wrap=True)


def _row(parameter: dict[str, Any]) -> tuple[str, ...]:
    default = "required" if parameter["required"] else to_json(parameter["default"])
    allowed = ""
    if parameter["choices"] is not None:
        allowed = ", ".join(map(str, parameter["choices"]))
    elif parameter["minimum"] is not None or parameter["maximum"] is not None:
        low, high = parameter["minimum"], parameter["maximum"]
        allowed = " ".join(
            [
                *([] if low is None else [f"from {low:g}"]),
                *([] if high is None else [f"to {high:g}"]),
            ]
        )
    return parameter["name"], parameter["type"], default, allowed


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, terminal: bool) -> Table:
    table = Table(
        box=box.ROUNDED if terminal else None, pad_edge=terminal, padding=(0, 2 - terminal)
    )
    for place, name in enumerate(head):
        table.add_column(name, no_wrap=not terminal or place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(_text(_shortened(cell)) for cell in row))
    return table


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


def _text(words: str, style: str = "") -> Text:
    return Text(printable(words), style=style)
