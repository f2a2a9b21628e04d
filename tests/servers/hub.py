"""A stand-in for the Hugging Face hub, and for the host of a Space: two origins that record all.

What the hub answers is as huggingface_hub 2.4 reads it: ``/api/spaces/{id}`` and its ``/runtime``,
``/api/whoami-v2`` and ``/api/spaces/{id}/duplicate``.
The host is a scripted Gradio app behind the proxy that Spaces have: it keeps strangers from a
private Space, shows a page for one that sleeps, and a request to it wakes that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.servers.scripted import ScriptedServer
from triojob.testing._server.description import App
from triojob.testing._server.http import ServerRequest, ServerResponse, StreamedResponse

ASLEEP = ("SLEEPING", "STOPPED")
TOKEN = "hf_let_me_in"
"""The token of the user `ada`, who may see all."""
PAGE = "<!doctype html><title>Hugging Face</title>"

_SPACE = re.compile(r"/api/spaces/([^/]+/[^/]+)(/.+)?")


@dataclass
class Space:
    """What the hub knows of one Space."""

    name: str
    host: Any
    private: bool = False
    stages: list[str] = field(default_factory=lambda: ["RUNNING"])
    """What each look sees: the last again and again, and one asleep until something wakes it."""
    problem: str | None = None

    def look(self) -> dict[str, Any]:
        stage = self.stages[0]
        if len(self.stages) > 1 and stage not in ASLEEP:
            self.stages.pop(0)
        runtime: dict[str, Any] = {
            "stage": stage,
            "hardware": {"current": "cpu-basic", "requested": "cpu-basic"},
            "storage": None,
            "gcTimeout": 172800,
            "replicas": {"current": 1, "requested": 1},
        }
        return runtime if self.problem is None else {**runtime, "errorMessage": self.problem}

    def wake(self) -> None:
        if len(self.stages) > 1 and self.stages[0] in ASLEEP:
            self.stages.pop(0)


class HubServer(ScriptedServer):
    """The hub."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__(App(), nursery)
        self.spaces: dict[str, Space] = {}
        self.moved: dict[str, str] = {}
        """New names of Spaces, by old."""
        self.copies: list[dict[str, Any]] = []
        """The body of each request for a copy."""

    def looks(self, name: str) -> list[float]:
        """Give the times of the looks at a Space."""
        paths = (f"/api/spaces/{name}", f"/api/spaces/{name}/runtime")
        return [request.time for request in self.requests if request.path in paths]

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        known = request.headers.get("authorization") == f"Bearer {TOKEN}"
        if (request.method, request.path) == ("GET", "/api/whoami-v2"):
            return (
                ServerResponse(200, {"type": "user", "name": "ada"}) if known else _unknown_user()
            )
        match = _SPACE.fullmatch(request.path)
        if match is None:
            return ServerResponse(404, PAGE)
        name, rest = match[1], match[2] or ""
        if name in self.moved:
            target = f"/api/spaces/{self.moved[name]}{rest}"
            return ServerResponse(307, b"", [("location", target)])
        space = self.spaces.get(name)
        if space is None or (space.private and not known):
            # Who has said who they are is told no more than that it is not there.
            return _missing() if known else _unknown_user()
        if (request.method, rest) == ("GET", ""):
            about = {"id": name, "private": space.private, "sdk": "gradio", "host": space.host}
            return ServerResponse(200, {**about, "runtime": space.look()})
        if (request.method, rest) == ("GET", "/runtime"):
            return ServerResponse(200, space.look())
        if (request.method, rest) == ("POST", "/duplicate"):
            return self._duplicate(request) if known else _unknown_user()
        return ServerResponse(404, PAGE)

    def _duplicate(self, request: ServerRequest) -> ServerResponse:
        self.copies.append(request.json)
        name = request.json["repository"]
        where = {"url": f"{self.url}/spaces/{name}"}
        if name in self.spaces:
            return ServerResponse(409, {"error": "You already created this space repo", **where})
        private = request.json.get("visibility") == "private"
        self.spaces[name] = Space(name, None, private, ["BUILDING"])
        return ServerResponse(200, where)


def _unknown_user() -> ServerResponse:
    return ServerResponse(401, {"error": "Invalid username or password."})


def _missing() -> ServerResponse:
    headers = [("x-error-code", "RepoNotFound"), ("x-error-message", "Repository not found")]
    return ServerResponse(404, {"error": "Repository not found"}, headers)


class SpaceServer(ScriptedServer):
    """The host of a Space: the app, and the proxy in front of it."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        super().__init__(app, nursery)
        self.space: Space | None = None

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        if self.space is not None:
            known = request.headers.get("x-hf-authorization") == f"Bearer {TOKEN}"
            if self.space.private and not known:
                return ServerResponse(401, PAGE)
            if self.space.stages[0] in ASLEEP:
                self.space.wake()
                return ServerResponse(503, PAGE)
        return await super().handle(request)


@dataclass
class Origins:
    """The hub, the host of `ada/story`, and one that nobody should ever ask."""

    hub: HubServer
    host: SpaceServer
    stranger: ScriptedServer
    space: Space


@contextlib.asynccontextmanager
async def open_origins(*, memory: bool = True) -> AsyncIterator[Origins]:
    """Serve the three in memory or on loopback sockets; what the body raises comes out bare."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        hub = HubServer(nursery)
        host = SpaceServer(App(), nursery)
        stranger = ScriptedServer(App(), nursery)
        servers = {"hub.test": hub, "ada-story.test": host, "stranger.test": stranger}
        for name, server in servers.items():
            if memory:
                server.network = hub.network
                server.serve_in_memory(name)
            else:
                await server.listen()
        space = hub.spaces["ada/story"] = host.space = Space("ada/story", host.url)
        try:
            yield Origins(hub, host, stranger, space)
        except trio.Cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own failures are none of Exception
            failure = error
        finally:
            for server in servers.values():
                server.die()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
