"""Completion at a shell's TAB: commands and options by click, endpoints and parameters by the app.

The app is asked for its description, for which there are two seconds; what goes wrong completes to
nothing, as a shell has no place to say it.
"""

from __future__ import annotations

import contextlib

import click
import trio
from click.shell_completion import CompletionItem, get_completion_class

from triojob import TriojobError

from ..gradio._config import AppInfo, EndpointInfo
from .connecting import Connection, read_login
from .ending import CommandError

SECONDS = 2.0
_VARIABLE = "_TRIOJOB_COMPLETE"


def script_for(cli: click.Command, shell: str) -> str:
    """Return the script that a shell evaluates: click's own."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(cli, {}, "triojob", _VARIABLE).source()


def complete_arguments(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete an endpoint, or the name of one of its parameters."""
    app = _ask(context)
    if app is None:
        return []
    typed: list[str] = [*(context.params.get("words") or ())]
    if not typed and "=" not in incomplete:
        wanted = incomplete if incomplete.startswith("/") else f"/{incomplete}"
        return [
            CompletionItem(name, help=_first_line(endpoint.description))
            for name, endpoint in app.endpoints().items()
            if isinstance(endpoint, EndpointInfo) and name.startswith(wanted)
        ]
    name = typed[0] if typed and "=" not in typed[0] else None
    try:
        parameters = app.find(name, None).parameters
    except TriojobError:
        return []
    given = {word.partition("=")[0].removesuffix(":") for word in typed}
    return [
        CompletionItem(f"{parameter.name}=", help=parameter.python_type)
        for parameter in parameters
        if parameter.name not in given and parameter.name.startswith(incomplete)
    ]


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _ask(context: click.Context) -> AppInfo | None:
    options = context.params
    url = options.get("url")
    if not url:
        return None
    with contextlib.suppress(TriojobError, CommandError, OSError):
        connection = Connection(
            url,
            read_login(options.get("auth"), ask=False),
            options.get("token"),
            options.get("oauth_token"),
            options.get("headers") or (),
            options.get("ca"),
            insecure=bool(options.get("insecure")),
        )
        return trio.run(_describe, connection)
    return None


async def _describe(connection: Connection) -> AppInfo | None:
    app: AppInfo | None = None
    with trio.move_on_after(SECONDS):
        async with connection.open() as client:
            app = client._opened()
    return app
