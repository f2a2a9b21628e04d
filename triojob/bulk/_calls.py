"""The part of a batch caller in the Trio run of its process: one open client, and its calls.

Only the Trio thread uses it, so it needs no locks; a forked child, which has another portal,
starts without any.
"""

from __future__ import annotations

import logging
import math
import random
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import trio

from .._core.retry import Retry
from .._exceptions import NoReplicaAvailable, TriojobError, raise_first
from .._fanout.map import map as map_jobs
from .._secrets import scrub
from ..gradio.client import Client
from ..gradio.endpoint import Endpoint
from ..gradio.pool.pool import ClientPool
from ..gradio.schema.parameters import Parameter
from ..sync._portal import Portal, nursery_of

logger = logging.getLogger("triojob")


@dataclass(frozen=True)
class Settings:
    """The settings of a batch caller, which are all that is pickled."""

    key: str
    """Identifies the copies of one caller, which share a client in each process."""
    urls: tuple[str, ...] = field(repr=False)
    src: str
    """The URLs, without secrets."""
    api_name: str | None
    inputs: Mapping[str, str] | None
    fixed_arguments: Mapping[str, Any] = field(repr=False)
    files: frozenset[str]
    outputs: tuple[str, ...]
    """The names of the columns."""
    several: bool
    """Whether each output of the endpoint has a column of its own."""
    error_column: str
    on_error: Literal["column", "raise"]
    transform: Callable[[Any], Any] | None
    key_column: str | None
    skip_completed: bool
    limit: int
    retry: Retry | None
    timeout: float | None
    client_options: Mapping[str, Any] = field(repr=False)


def make_client(urls: Sequence[str], options: Mapping[str, Any]) -> Client | ClientPool:
    """Return a client of the app, or of its replicas, which is not open yet.

    Raises:
        TypeError, ValueError: The URLs or the options are invalid.
    """

    def make(url: str) -> Client:
        return Client(url, **options)

    return make(urls[0]) if len(urls) == 1 else ClientPool(urls, make)


@dataclass(frozen=True)
class Row:
    """One call to make."""

    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    refused: Exception | None = None
    """Why the call can't be made."""


@dataclass(frozen=True)
class RowOutcome:
    """The outcome of a call."""

    result: Any = None
    failure: Exception | None = None


class OpenApp:
    """An app that stays open from a caller's first batch in a process until the process ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._endpoint: Endpoint | None = None
        self._opening = trio.Lock()
        self._closing = trio.Event()
        self._room = trio.CapacityLimiter(settings.limit)
        """Limits the calls of all batches that threads of this process have in flight."""

    async def endpoint(self, nursery: trio.Nursery) -> Endpoint:
        """Return the endpoint of a client that a task of ``nursery`` keeps open."""
        async with self._opening:
            return self._endpoint or await self._open(nursery)

    async def _open(self, nursery: trio.Nursery) -> Endpoint:
        retry = self._settings.retry
        name = f"<client of batches for {self._settings.src}>"
        start, attempt = trio.current_time(), 0
        while True:
            attempt += 1
            try:
                endpoint: Endpoint = await nursery.start(self._live, name=name)
            except TriojobError as exc:
                # Asking an app for its endpoints changes nothing there.
                harmless = None if retry is None else replace(retry, idempotent=True)
                causes = [exc]
                if isinstance(exc, NoReplicaAvailable) and exc.failures:
                    causes = list(exc.failures.values())
                if harmless is None or not any(
                    harmless.may_repeat(cause, stateful=False) for cause in causes
                ):
                    raise
                elapsed = trio.current_time() - start
                pause = harmless.pause(exc, attempt, elapsed, random.random())  # noqa: S311 - no secret
                if pause is None:
                    raise
            else:
                return endpoint
            await trio.sleep(pause)

    async def _live(self, *, task_status: trio.TaskStatus[Endpoint]) -> None:
        settings = self._settings
        try:
            async with make_client(settings.urls, settings.client_options) as client:
                endpoint = client.endpoint(settings.api_name)
                _check(settings, endpoint)
                if settings.retry is not None:
                    endpoint = endpoint.with_retry(settings.retry)
                self._endpoint = endpoint
                task_status.started(endpoint)
                await self._closing.wait()
        except Exception:
            if self._endpoint is None:
                raise
            # The calls in flight have failed because of it; the next batch opens another client.
            logger.exception("the client of a batch caller failed")
        finally:
            self._endpoint = None

    def close(self) -> None:
        """Request that the client ends, which ends the calls in flight."""
        self._closing.set()

    async def call_rows(self, endpoint: Endpoint, rows: Sequence[Row]) -> list[RowOutcome]:
        """Make the calls, and return their outcomes in the order of the rows.

        Raises:
            Exception: The exception of the first call that failed, if failures are to be raised;
                the other calls are cancelled.

        Cancelling this cancels the calls, on the server too.
        """
        outcomes = await self._outcomes(endpoint, rows)
        if self._settings.on_error == "raise":
            failures = [outcome.failure for outcome in outcomes.values() if outcome.failure]
            if failures:
                outcomes.clear()  # see raise_first
                raise_first(failures)
        return [outcomes[place] for place in range(len(rows))]

    async def _outcomes(self, endpoint: Endpoint, rows: Sequence[Row]) -> dict[int, RowOutcome]:
        """Return the outcomes by row number: all, or up to the failure to raise."""
        outcomes: dict[int, RowOutcome] = {}
        limit = self._settings.limit
        # A call that can time out is cancelled by itself; see Endpoint.in_shared_session.
        alone = self._settings.timeout is not None
        with nullcontext(endpoint) if alone else endpoint.in_shared_session() as called:
            call = partial(self._call, called)
            # As they end: in order, a slow call would delay the start of others.
            async with map_jobs(call, enumerate(rows), limit=limit, ordered=False) as results:
                async for place, outcome in results:
                    outcomes[place] = outcome
                    if outcome.failure is not None and self._settings.on_error == "raise":
                        break
        return outcomes

    async def _call(self, endpoint: Endpoint, numbered: tuple[int, Row]) -> tuple[int, RowOutcome]:
        place, row = numbered
        if row.refused is not None:
            return place, RowOutcome(failure=row.refused)
        seconds = math.inf if self._settings.timeout is None else self._settings.timeout
        async with self._room:
            with trio.move_on_after(seconds):
                try:
                    if row.headers:
                        endpoint = endpoint.with_headers(row.headers)
                    return place, RowOutcome(await endpoint(**row.arguments))
                except Exception as exc:  # noqa: BLE001 - only this row fails
                    return place, RowOutcome(failure=exc)
        late = f"{endpoint.name} took longer than {seconds:g} s and was cancelled"
        return place, RowOutcome(failure=trio.TooSlowError(f"{late}; increase timeout="))


def _check(settings: Settings, endpoint: Endpoint) -> None:
    """Refuse settings with which every row would fail."""
    names = [parameter.name for parameter in parameters_of(endpoint)]
    asked = [*(settings.inputs or ()), *settings.fixed_arguments, *settings.files]
    strangers = sorted({name for name in asked if name not in names})
    if strangers:
        known = ", ".join(map(repr, names)) or "none"
        raise TypeError(
            f"{endpoint.name} has no parameter {', '.join(map(repr, strangers))}; "
            f"it has {scrub(known, ours=True)}"
        )
    outputs = len(endpoint.info.shown_outputs)
    if settings.several and len(settings.outputs) != outputs:
        raise ValueError(
            f"{endpoint.name} has {outputs} outputs, but output= names {len(settings.outputs)}"
        )


def parameters_of(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """Return the parameters of an endpoint."""
    return endpoint.info.parameters


_apps: weakref.WeakKeyDictionary[Portal, dict[str, OpenApp]] = weakref.WeakKeyDictionary()


async def open_app(portal: Portal, settings: Settings) -> tuple[OpenApp, Endpoint]:
    """Open the app in the run behind ``portal``, or return the one that is open: copies share it.

    Raises:
        TriojobError: It can't be opened.
        TypeError, ValueError: The settings don't fit the endpoint.
    """
    apps = _apps.setdefault(portal, {})
    app = apps.get(settings.key)
    if app is None:
        app = apps[settings.key] = OpenApp(settings)
    return app, await app.endpoint(nursery_of(portal))


async def close_app(portal: Portal, key: str) -> None:
    """Close the app, if it is open; the next batch opens it again."""
    app = _apps.get(portal, {}).pop(key, None)
    if app is not None:
        app.close()
