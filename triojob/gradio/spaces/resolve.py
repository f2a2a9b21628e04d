"""Finds the host of a Space with the hub's API, and waits until its app runs.

There is no timeout here: the scope around the caller ends the wait, and a cancellation leaves
nothing behind.
"""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import trio

from ..._exceptions import (
    NetworkError,
    ProtocolError,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    shorten,
)
from ..http.client import HTTP, HTTPClient, HTTPTransport, is_json
from ..http.settings import Limits, Timeouts
from ..http.urls import parse_url
from ..protocol.messages import Json, decode_object
from .stages import (
    Runtime,
    SpaceStatus,
    Step,
    check_host,
    hub_refusal,
    pause_before,
    read_host,
    read_runtime,
    stage_error,
    step_for,
)
from .tokens import Token, space_headers

logger: logging.Logger = logging.getLogger("triojob")

_MOST_FAILURES = 5
"""How many checks in a row can fail while a client waits."""


@dataclass(frozen=True)
class Connecting:
    """The settings of requests to the hub: those of the app, without its headers and cookies."""

    timeouts: Timeouts
    limits: Limits
    verify: bool | ssl.SSLContext
    transport: HTTPTransport | None
    client: HTTPClient | None

    def http(self, base: str, headers: dict[str, str]) -> HTTP:
        """Return the HTTP client for requests to ``base``."""
        return HTTP(
            base,
            limits=replace(self.limits, streams=1),
            timeouts=self.timeouts,
            headers=headers,
            verify=self.verify,
            transport=self.transport,
            client=self.client,
        )


async def find_app(
    space: str,
    hub: str,
    token: Token | None,
    connecting: Connecting,
    on_wait: Callable[[SpaceStatus], object] | None,
) -> str:
    """Return the URL of a Space's app once the Space runs, without a time limit.

    Args:
        hub: The hub's URL, with a slash at its end.
        token: Sent to the hub, and to the Space with the request that wakes it.
        on_wait: Called after each check that finds the Space not ready, and at the end of the wait.
            An exception that it raises ends the wait.

    Raises:
        SpaceError: There is no such Space for this token, or waiting can't end its stage.
        TooManyRequests: The hub limits the rate of requests; raised by the first check only.
        NetworkError: The hub can't be reached; while waiting, only after several failed checks in a
            row.
        ProtocolError, UnexpectedResponse: The hub's response is invalid.
    """
    http = connecting.http(hub, {} if token is None else {"authorization": token.bearer})
    found = False
    try:
        app = await _Search(
            space, hub, token, http=http, connecting=connecting, on_wait=on_wait
        ).until_open()
        found = True
        return app
    finally:
        # The user's own transport is used for the app afterwards, and closed after that.
        if connecting.transport is None or not found:
            await http.aclose()


class SpaceHost(NamedTuple):
    """What the hub says about a Space."""

    runtime: Runtime
    app: Callable[[], str]
    """Returns the URL of its app; raises `ProtocolError` if the hub gives no valid one."""


async def look_up(space: str, hub: str, token: Token | None, connecting: Connecting) -> SpaceHost:
    """Request the state of a Space from the hub once; wake nothing, and wait for nothing.

    Raises:
        SpaceError: There is no such Space for this token.
        TooManyRequests, NetworkError, ProtocolError, UnexpectedResponse: As for `find_app`.
    """
    http = connecting.http(hub, {} if token is None else {"authorization": token.bearer})
    search = _Search(space, hub, token, http=http, connecting=connecting, on_wait=None)
    try:
        return await search.look_up()
    finally:
        if connecting.transport is None:
            await http.aclose()


class _Search:
    """One wait for one Space."""

    def __init__(
        self,
        space: str,
        hub: str,
        token: Token | None,
        *,
        http: HTTP,
        connecting: Connecting,
        on_wait: Callable[[SpaceStatus], object] | None,
    ) -> None:
        self._space = space
        self._hub = hub
        self._token = token
        self._http = http
        self._connecting = connecting
        self._on_wait = on_wait
        self._began = trio.current_time()

    async def look_up(self) -> SpaceHost:
        answer = await self._ask(f"api/spaces/{self._space}")
        runtime = read_runtime(answer.get("runtime"), self._space)
        return SpaceHost(runtime, partial(self._app_of, answer))

    async def until_open(self) -> str:
        runtime, app = await self.look_up()
        look = failures = 0
        at_least = 0.0
        waited = False
        while (step := step_for(runtime.stage)) is not Step.OPEN:
            if step is Step.GIVE_UP:
                raise stage_error(self._space, self._hub, runtime)
            # Not a secret: it only desynchronizes clients.
            pause = max(at_least, pause_before(look, random.random()))  # noqa: S311
            self._tell(runtime, pause)
            waited = True
            await self._pause(pause, app() if step is Step.WAKE else None)
            look += 1
            at_least = 0.0
            try:
                seen = read_runtime(
                    await self._ask(f"api/spaces/{self._space}/runtime"), self._space
                )
            except TooManyRequests as exc:
                at_least = exc.retry_after or 0.0
                logger.warning("%s", exc)
            except (NetworkError, UnexpectedResponse) as exc:
                failures += 1
                passing = not isinstance(exc, UnexpectedResponse) or exc.status >= 500
                if not passing or failures == _MOST_FAILURES:
                    raise
                logger.warning("waiting for the Space %s: %s", self._space, exc)
            else:
                failures = 0
                if seen.stage != runtime.stage:
                    look = 0
                runtime = seen
        if waited:
            self._tell(runtime, None)
        return app()

    async def _ask(self, path: str) -> Json:
        http = self._http
        response = await http.request("GET", path, root=True, limiter=http.requests)
        if response.status != 200:
            raise hub_refusal(
                self._space,
                response.status,
                location=response.location,
                retry_after=response.retry_after,
                has_token=self._token is not None,
            )
        if not is_json(response):
            raise UnexpectedResponse(
                f"looking up the Space {self._space}: {self._hub} does not respond like a hub; "
                "check hf_endpoint= and HF_ENDPOINT",
                status=response.status,
            )
        return decode_object(response.body, f"the hub's response on the Space {self._space}")

    def _app_of(self, answer: Json) -> str:
        try:
            host = parse_url(read_host(answer, self._space))
        except ProtocolError:
            raise
        except ValueError as exc:
            words = f"the hub's host of the Space {self._space}: {shorten(exc)}"
            raise ProtocolError(words) from None
        check_host(host, self._space, self._hub)
        return host

    async def _pause(self, seconds: float, wake: str | None) -> None:
        with trio.move_on_after(seconds):
            if wake is not None:
                await self._wake(wake)
            await trio.sleep_forever()

    async def _wake(self, app: str) -> None:
        # With the same connection pool, but without the credentials for the hub.
        pooled = replace(self._connecting, client=self._http.httpx_client)
        http = pooled.http(app, space_headers(self._token))
        try:
            await http.request("GET", "", root=True, limiter=http.requests)
        except TriojobError as exc:
            # Only the request's arrival matters, and the stage will show it.
            logger.debug("waking the Space %s: %s", self._space, exc)

    def _tell(self, runtime: Runtime, next_look: float | None) -> None:
        status = SpaceStatus(
            space=self._space,
            stage=runtime.stage,
            ready=next_look is None,
            waited=trio.current_time() - self._began,
            next_look=next_look,
        )
        logger.info(
            "the Space %s is %s%s", self._space, runtime.stage, "" if status.ready else "; waiting"
        )
        if self._on_wait is not None:
            self._on_wait(status)
