"""What the tests of opening a client, of its options and of its endpoints share."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.jobs import tasks_living
from tests.support.sessions import ROOMY
from triojob import Client
from triojob.testing._server.http import ServerRequest

PASSWORD = "corr3ct-h0rse"
LOGIN = ("ada", PASSWORD)

# What a client asks for in its life, whatever it is told on opening.
LOOK = "GET /app_id"
"""What asks whether the app is still the same one."""

EVERY_KIND = {
    "GET /config",
    "GET /info",
    "POST /queue/join",
    "GET /queue/data",
    "POST /cancel",
}


def new_client(server: ScriptedServer, url: str | None = None, **options: Any) -> Client:
    """Make a client of a scripted app in memory; whoever asked opens it."""
    if "http_client" not in options:
        options.setdefault("transport", server.transport(limits=ROOMY))
    return Client(url or server.url, **options)


def add_functions(server: ScriptedServer) -> None:
    """Add one function that gives its input back, one that never ends and one that fails."""
    server.app.add("echo", inputs=["a"])

    @server.app.endpoint(inputs=["a"])
    async def hang(event: Event) -> None:
        await trio.sleep_forever()

    @server.app.endpoint(inputs=["a"])
    async def fail(event: Event) -> None:
        raise GradioError(event.data[0])


async def ask_for_everything(server: ScriptedServer, client: Client) -> None:
    """Make requests of every kind that there is, by a call and a cancelled one."""
    assert await client.predict("a", api_name="/echo") == "a"
    job = client.submit("a", api_name="/hang")
    await trio.testing.wait_all_tasks_blocked()
    job.cancel()
    await job.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert "POST /cancel" in server.paths()


async def wait_until_running(server: ScriptedServer, count: int) -> None:
    """Wait until the server runs so many calls; time has to pass for that."""
    with trio.fail_after(1000):
        while len(server.running) < count:  # noqa: ASYNC110 - the server has no way to tell
            await trio.sleep(0.1)


@asynccontextmanager
async def nothing_left_over(server: ScriptedServer) -> AsyncIterator[None]:
    """Show that the body leaves no task, no connection and no call on the server behind."""
    await trio.testing.wait_all_tasks_blocked()
    tasks = tasks_living()
    assert server.open_connections == 0
    yield
    await trio.testing.wait_all_tasks_blocked()
    assert tasks_living() == tasks
    assert server.open_connections == 0
    assert server.streams.open == 0
    assert server.running == []
    assert server.waiting == []


def targets(server: ScriptedServer) -> list[str]:
    """Return what each request asked for, with all that stands before its path and after it.

    But for those that ask whether the app is still the same one.
    """
    asked = [f"{request.method} {request.target}" for request in server.requests]
    return [target for target in asked if not target.endswith("/app_id")]


def hosts(server: ScriptedServer) -> set[str]:
    """Return the hosts that somebody tried to reach."""
    return {host for host, _ in server.network.connects}


def cookies_of(request: ServerRequest) -> dict[str, str]:
    """Return the cookies that came with a request."""
    header = request.headers.get("cookie", "")
    pairs = (pair.strip().partition("=") for pair in header.split(";") if pair.strip())
    return {name: value for name, _, value in pairs}


def login_cookies_of(request: ServerRequest) -> set[str]:
    """Return which of Gradio's two cookies came with a request, less the app's id in the names."""
    unsecure = "access-token-unsecure"
    return {unsecure if unsecure in name else "access-token" for name in cookies_of(request)}


def shown(error: BaseException) -> str:
    """Return all that a user, a log or a bug report gets to see of an exception."""
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])


def causes(error: BaseException) -> list[BaseException]:
    """Return an exception and what it was raised from."""
    return [error] if error.__cause__ is None else [error, *causes(error.__cause__)]


async def must_not_open(client: Client) -> None:
    """Open a client that refuses to."""
    async with client:
        raise AssertionError("it was opened")
