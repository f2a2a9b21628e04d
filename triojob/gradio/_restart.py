"""An app that was started anew: noticed after a connection broke, by the id that each start has.

Wire source: gradio 6.31, ``routes.py`` (``/app_id``), ``blocks.py`` (``app_id``, a random number).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, final

import trio

from .._errors import (
    ConnectionFailed,
    EndpointNotFound,
    ProtocolError,
    ServerRestarted,
    TriojobError,
)
from ._config import AppInfo, EndpointInfo
from ._http import HTTP, Response
from ._wire import decode_object

logger = logging.getLogger("triojob")


@final
class AppWatch:
    """An app's description, read anew when the app was started anew.

    Args:
        app: The description as it is now.
        discover: Reads the description, logging in first if need be.
    """

    def __init__(
        self, http: HTTP, app: AppInfo, discover: Callable[[], Awaitable[AppInfo]]
    ) -> None:
        self.app: AppInfo = app
        self.restarts: int = 0
        """How often the app has been found to have been started anew."""
        self._http = http
        self._discover = discover
        self._doubted = False
        self._looking = trio.Lock()

    def doubt(self) -> None:
        """Look before the next call: something broke as it breaks when a server ends."""
        self._doubted = True

    async def look(self) -> None:
        """If there is doubt, ask whether the app is the same; if not, read its description.

        Raises:
            ConnectionFailed: The server can't be reached.
            ServerRestarted: The app now speaks a protocol that this client doesn't.
            TriojobError: The app was started anew, and its description can't be read.

        Being cancelled leaves the doubt.
        """
        if not self._doubted:
            return
        async with self._looking:
            # Of several calls that wait here, the first has looked for all.
            if self._doubted:
                await self._look()

    async def _look(self) -> None:
        try:
            app_id = await self._ask()
        except ConnectionFailed:
            raise
        except TriojobError:
            return  # no answer; the call itself will tell
        if app_id is None or app_id != self.app.app_id:
            # An app without an answer to that may still have one in its description.
            self._take(await self._discover())
        self._doubted = False

    async def ask(self) -> str | None:
        """Ask the app for a sign of life; return what is wrong with it, or None.

        Raises:
            TriojobError: There was no answer.
        """
        # Not among the requests, which may all be waiting for this app.
        response = await self._http.request("GET", "/app_id", limiter=self._http.cancel_requests)
        if response.status in (502, 504):  # a proxy's words for an app that does not answer
            return f"another request was answered with status {response.status}"
        app_id = _app_id(response)
        if app_id is not None and app_id != self.app.app_id:
            self.doubt()
            return "the app was started anew meanwhile"
        return None

    async def _ask(self) -> Any:
        response = await self._http.request("GET", "/app_id", limiter=self._http.requests)
        return _app_id(response)

    def _take(self, app: AppInfo) -> None:
        if app.app_id == self.app.app_id:
            return
        if app.protocol != self.app.protocol:
            raise ServerRestarted(
                f"the app was started anew and speaks {app.protocol} now instead of "
                f"{self.app.protocol}; open a new Client for it"
            )
        self.app = app
        self.restarts += 1
        self._http.forget_server()
        logger.warning(
            "the app was started anew: the State of all sessions is gone, and the app's "
            "description has been read again"
        )

    def vouch(self, info: EndpointInfo, bound: int, since: int | None) -> None:
        """Refuse a call that was meant for the app as it was before.

        Args:
            bound: What `restarts` was when the call's arguments were encoded.
            since: What it was when the call's session was last used with State; None for never.

        Raises:
            ServerRestarted: Nothing was sent.
        """
        if info.stateful and since is not None and min(since, bound) < self.restarts:
            raise ServerRestarted(
                f"{info.name} was not called: the app was started anew, and the State of this "
                "session is gone; to go on from a new State, call again"
            )
        if bound < self.restarts and not self._has(info):
            raise ServerRestarted(
                f"{info.name} was not called: the app was started anew and this endpoint has "
                "changed; call again"
            )

    def _has(self, info: EndpointInfo) -> bool:
        try:
            return self.app.find(None, info.fn_index) == info
        except EndpointNotFound:
            return False


def _app_id(response: Response) -> Any:
    """Return what the app calls its process, or None if it doesn't say."""
    if response.status != 200:
        return None
    try:
        return decode_object(response.body, "the answer to /app_id").get("app_id")
    except ProtocolError:
        return None
