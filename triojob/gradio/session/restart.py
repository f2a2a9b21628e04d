"""Detects that an app has restarted, before a call goes to the new process.

A process that has ended has no connections.  So a call uses a connection only if the app has
confirmed, on a connection opened later, that it is still the known process: one response is enough
for all connections that were opened before the check was sent.  httpx opens a connection when a
request is sent, so with httpx the check comes just before the call.

Wire source: gradio 3.50 to 6.31, ``routes.py`` (``/app_id``), ``blocks.py`` (``app_id``, a random
number).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, final

import trio

from ..._exceptions import (
    ConnectionFailed,
    ConnectionTimeout,
    EndpointMismatch,
    EndpointNotFound,
    NetworkError,
    ProtocolError,
    ServerRestarted,
)
from ..http.client import HTTP
from ..http.request import Ready
from ..http.response import Response
from ..protocol.messages import decode_object
from ..schema.app import AppInfo, EndpointInfo

logger: logging.Logger = logging.getLogger("triojob")


@final
class AppWatch:
    """An app's description, read again after the app has restarted.

    Args:
        app: The current description.
        discover: Reads the description, logging in first if necessary; awaits its argument
            before it requests the description.
    """

    def __init__(
        self, http: HTTP, app: AppInfo, discover: Callable[[Ready], Awaitable[AppInfo]]
    ) -> None:
        self.app: AppInfo = app
        self.restarts: int = 0
        """How many restarts of the app have been detected."""
        self._http = http
        self._discover = discover
        self._id: Any = app.app_id
        self._checked = 1
        """Connections up to this number lead to the known process: the first one was there before
        the app's description was read.
        """
        self._suspect = False
        self._answers = True
        """Whether the app reports its id at ``/app_id``, and not only in its description."""
        self._asking = trio.Lock()
        self._asked = 0
        """How many times the app has been checked."""

    def mark_suspect(self) -> None:
        """Check the app before the next call: an error occurred that a server's end can cause."""
        self._suspect = True

    async def revalidate(self, connection: int | None) -> None:
        """Check that a connection leads to the known process; if not, reread the description.

        An app without ``/app_id`` is checked only while it is suspect, by its description.

        Args:
            connection: The connection's number; None for a connection that is not open yet.

        Raises:
            ConnectionFailed: The server can't be reached.
            ServerRestarted: The app now uses a protocol that this client does not speak.
            TriojobError: The app has restarted, and its description can't be read.

        Being cancelled leaves the check to the next call.
        """
        asked = self._asked
        if self._is_to_ask(connection, asked):
            async with self._asking:
                # If several calls wait here, the first one has checked for all of them.
                if self._is_to_ask(connection, asked):
                    await self._ask()

    def _is_to_ask(self, connection: int | None, asked: int) -> bool:
        if self._suspect or not self._answers:
            return self._suspect
        return self._asked == asked if connection is None else connection > self._checked

    async def _ask(self) -> None:
        checked = 0

        async def sending(_connection: int | None) -> None:
            nonlocal checked
            checked = self._http.opened

        try:
            app_id = await self._app_id(sending)
        except ConnectionFailed:
            raise
        except NetworkError as exc:
            # The call itself shows whether the server works; after a timeout, no call checks again.
            self._answers = self._answers and not isinstance(exc, ConnectionTimeout)
            return
        finally:
            self._asked += 1
        if app_id is None and not self._suspect:
            return
        if app_id is None or self._id not in (None, app_id):
            app = await self._discover(sending)
            self._take(app, app.app_id if app_id is None else app_id)
        elif self._id is None:
            self._id = app_id
        self._suspect = False
        self._checked = max(self._checked, checked)

    async def _app_id(self, sending: Ready) -> Any:
        """Return the app's id; None if the app does not report it.

        Args:
            sending: Awaited before the request is sent.
        """
        app_id: Any = None
        status = 0
        connect = self._http.timeouts.connect
        seconds = math.inf if connect is None else 2 * connect
        with trio.move_on_after(seconds) as scope:
            with suppress(ProtocolError):
                # Without a limiter: calls that hold one wait for this response.
                response = await self._http.request("GET", "/app_id", ready=sending, fresh=True)
                status, app_id = response.status, _app_id(response)
        if scope.cancelled_caught:
            raise ConnectionTimeout(f"no response to /app_id within {seconds} s")
        # A busy server may respond next time, and so may a server whose response was invalid.
        if 200 <= status < 500 and status != 429:
            self._answers = app_id is not None
        return app_id

    async def ask(self) -> str | None:
        """Check that the app responds; return a description of the problem, or None.

        Raises:
            TriojobError: There was no response.
        """
        response = await self._request_id()
        if response.status in (502, 504):  # a proxy reports that the app is down
            return f"another request received status {response.status}"
        app_id = _app_id(response)
        if app_id is not None and self._id not in (None, app_id):
            self.mark_suspect()
            return "the app was restarted meanwhile"
        return None

    async def probe(self) -> None:
        """Check that the app is reachable.

        Raises:
            ConnectionFailed: A proxy reports that the app is down.
            TriojobError: There was no response.
        """
        response = await self._request_id()
        if response.status in (502, 503, 504):
            raise ConnectionFailed(f"the app is down: it responds with status {response.status}")

    async def _request_id(self) -> Response:
        # Outside the limit of requests, all of which might be waiting for this app.
        return await self._http.request("GET", "/app_id", limiter=self._http.cancel_requests)

    def _take(self, app: AppInfo, app_id: Any) -> None:
        if app_id == self._id:
            return
        if app.protocol != self.app.protocol:
            raise ServerRestarted(
                f"the app was restarted and now uses the protocol {app.protocol} instead of "
                f"{self.app.protocol}; open a new Client"
            )
        self.app, self._id = app, app_id
        self.restarts += 1
        self._http.forget_server()
        logger.warning(
            "the app was restarted: the State of all sessions is lost, and the app's "
            "description has been read again"
        )

    def check_generation(
        self, info: EndpointInfo, restarts_when_encoded: int, restarts_at_last_state: int | None
    ) -> None:
        """Refuse a call that was meant for the app before its restart.

        Args:
            restarts_when_encoded: The value of `restarts` when the call's arguments were encoded.
            restarts_at_last_state: The value at the session's last call with State, or None.

        Raises:
            ServerRestarted: Nothing was sent.
        """
        last = restarts_at_last_state
        if info.stateful and last is not None and min(last, restarts_when_encoded) < self.restarts:
            raise ServerRestarted(
                f"{info.name} was not called: the app was restarted, and the State of this "
                "session is lost; call again to start with a new State"
            )
        if restarts_when_encoded < self.restarts and not self._has(info):
            raise ServerRestarted(
                f"{info.name} was not called: the app was restarted and this endpoint has "
                "changed; call again"
            )

    def _has(self, info: EndpointInfo) -> bool:
        try:
            return self.app.find(None, info.fn_index) == info
        except (EndpointNotFound, EndpointMismatch, ProtocolError):
            return False


def _app_id(response: Response) -> Any:
    """Return the id of the app's process, or None if the response does not contain it."""
    if response.status == 200:
        with suppress(ProtocolError):
            return decode_object(response.body, "the response to /app_id").get("app_id")
    return None
