"""What the checks share: the requests, and what is known about the app."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from .._exceptions import ProtocolError, TriojobError
from ..gradio.client import Access
from ..gradio.http.client import HTTP, is_json
from ..gradio.http.response import Response
from ..gradio.protocol.messages import decode_object, is_list, is_object
from ..gradio.protocol.refusals import refusal
from .findings import Finding

if TYPE_CHECKING:
    from ..gradio.http.connection import Connection
    from ..gradio.protocol.base import CallDriver, StreamDriver
    from ..gradio.schema.app import AppInfo

REFUSED = (429, 503)
"""The statuses with which servers and proxies refuse requests because of a limit."""


class NotChecked(Exception):
    """Raised by a check that can't be done; the message says why."""


class NotApplicable(NotChecked):
    """Raised by a check that has nothing to check."""


@dataclass(frozen=True)
class Check:
    """A check.

    Args:
        run: Returns what was found; raises `NotChecked`.
        seconds: The most that it can take.
        needs_app: Whether it can be done only if the app's description is known.
        repeat: Whether to do it twice before anything is said: what happens only once may be due
            to a restart of the app, or to its load at that moment.
    """

    name: str
    run: Callable[[Context], Awaitable[list[Finding]]]
    seconds: float = 30
    needs_app: bool = True
    repeat: bool = False


class Context:
    """What the checks share.

    Args:
        access: How to reach the app.
        trial: The call to make, or None.
    """

    def __init__(self, access: Access, trial: Callable[[], Awaitable[object]] | None) -> None:
        self.access = access
        self.trial = trial
        self.base: str | None = access.source.url if access.source.space is None else None
        """The app's URL with a slash at its end; None until the hub has said where a Space is."""
        self.codes: set[str] = set()
        """The codes of what was found so far."""
        self.server: str = ""
        """The header ``Server`` of the first response."""
        self.set_cookies: list[str] = []
        """The headers ``Set-Cookie`` of the responses that open a session."""
        self.driver: StreamDriver | CallDriver | None = None
        self._opened: list[HTTP] = []
        self._http: HTTP | None = None
        self._app: AppInfo | None = None

    # --- What is known about the app ---

    @property
    def app(self) -> AppInfo:
        """The app's description.

        Raises:
            NotChecked: It is not known.
        """
        if self._app is None:
            raise NotChecked("the app's description is not known")
        return self._app

    @app.setter
    def app(self, app: AppInfo) -> None:
        self._app = app

    @property
    def known_app(self) -> AppInfo | None:
        """The app's description, or None."""
        return self._app

    def refuse_if_unloading(self) -> None:
        """Let no check open sessions of an app that runs functions when a session ends.

        Raises:
            NotChecked: It is such an app.
        """
        for dependency in self.app.config["dependencies"]:
            for target in dependency.get("targets") or ():
                if is_list(target) and target[1:] == ["unload"]:
                    raise NotChecked("the app runs a function of its own when a session ends")

    # --- Requests ---

    @property
    def http(self) -> HTTP:
        """Requests to the app.

        Raises:
            NotChecked: Where the app is, is not known.
        """
        if self._http is None:
            if self.base is None:
                raise NotChecked("where the Space's app is, is not known")
            self._http = self.open(self.base)
        return self._http

    def open(self, base: str) -> HTTP:
        """Return requests to an app at a URL; `aclose` closes them."""
        http = self.access.http(base)
        self._opened.append(http)
        return http

    async def aclose(self) -> None:
        """Close all connections."""
        for http in self._opened:
            await http.aclose()

    async def get(self, path: str, *, root: bool = False, fresh: bool = False) -> Response:
        """Request something of the app.

        Args:
            fresh: Whether to open a connection for it, and to close it afterwards: servers may
                count idle ones.

        Raises:
            NotChecked: A limit on the way refuses it.
            NetworkError: The network failed.
        """
        response = await self.http.request("GET", path, root=root, fresh=fresh)
        if fresh:
            self.http.close_idle()
        give_up_if_refused(response.status, f"GET {path}")
        return response

    async def app_id(self) -> Any:
        """Request the id of the process that responds, over a new connection; None without one."""
        response = await self.get("/app_id", fresh=True)
        if response.status != 200 or not is_json(response):
            response = await self.get("config", root=True, fresh=True)
        try:
            return decode_object(response.body, "the app's id").get("app_id")
        except ProtocolError:
            return None

    async def round_trip(self) -> float:
        """Return how many seconds a short request takes over a new connection."""
        start = trio.current_time()
        await self.get("/app_id", fresh=True)
        return trio.current_time() - start

    async def begin(
        self, method: str, path: str, *, kind: str | None = None, announced: int | None = None
    ) -> Connection:
        """Send a request up to its body; return its connection, which the check reads and closes.

        Args:
            kind: The media type of the announced body.

        Raises:
            NotChecked: There is no such connection.
            NetworkError: The network failed.
        """
        headers = {} if kind is None else {"content-type": kind}
        connection = await self.http.begin(method, path, headers=headers, announced=announced)
        if connection is None:
            raise NotChecked("the requests go through a proxy of yours, or over an httpx client")
        return connection


def give_up_if_refused(status: int, what: str) -> None:
    """End a check whose request a limit on the way has refused.

    Raises:
        NotChecked: It has.
    """
    if status in REFUSED:
        raise NotChecked(f"{what} was refused with status {status}")


def refused(response: Response) -> TriojobError:
    """Return the error for a refused event stream; `status_of` returns its status."""
    return refusal(response, "opening an event stream", "")


def status_of(error: TriojobError) -> int | None:
    """Return the status of the response that caused an error, if any."""
    return None if error.response is None else error.response.status


def detail_of(response: Response) -> object:
    """Return ``detail`` of a response of FastAPI's, or None."""
    if not is_json(response):
        return None
    try:
        body: object = json.loads(response.body)
    except ValueError:
        return None
    return body.get("detail") if is_object(body) else None
