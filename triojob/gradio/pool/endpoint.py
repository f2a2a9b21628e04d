"""The endpoints of a pool: calls that fail over to another replica."""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import trio
from outcome import Error, Outcome

from ..._core.call import Batch, Call
from ..._core.logs import log_job
from ..._core.messages import Status, StatusUpdate
from ..._core.retry import Retry
from ..._core.runner import JobRunner
from ..._exceptions import (
    ClientClosed,
    EndpointMismatch,
    EndpointNotFound,
    ServerRestarted,
    TriojobError,
)
from ..client import Client, registry_of
from ..endpoint import (
    CallOptions,
    Endpoint,
    P,
    T_co,
    generation_of,
    make_call,
    prepare,
    token_of,
    with_settings_of,
)
from ..files.inputs import FilePlaceholders
from ..schema.app import EndpointInfo
from ..schema.stubs import fingerprint
from ..session.input_stream import InputStream
from .balancer import is_trouble, without_frames
from .replica import Replica, ReplicaSet

logger: logging.Logger = logging.getLogger("triojob")

_FAILOVER = Retry()
"""Calls that can go to another replica: those that can be retried; by default no others."""


def shape_of(info: EndpointInfo) -> object:
    """Return the properties on which replicas must agree to run the same calls."""
    return (
        fingerprint(info),
        [parameter.place for parameter in info.parameters],
        info.input_count,
        info.shown_outputs,
        info.streams,
        info.stateful,
        info.takes_stream,
    )


class PoolEndpoint(Endpoint[P, T_co]):
    """An endpoint of a pool: each call goes to the replica with the least load.

    Args:
        ask: Returns the endpoint of one client.
    """

    def __init__(
        self,
        replicas: ReplicaSet,
        ask: Callable[[Client], Endpoint],
        options: CallOptions | None = None,
    ) -> None:
        self._options = options or CallOptions()
        self._replicas = replicas
        self._ask = ask
        self._on: WeakKeyDictionary[Client, Endpoint] = WeakKeyDictionary()
        self._others: WeakKeyDictionary[Client, int] = WeakKeyDictionary()
        """Clients with a different endpoint, each with the app's restart count at the time of the
        check.
        """
        self._shape: object = None
        self._name = ""
        found = self._find_everywhere()
        # This endpoint checks and encodes the arguments, whichever replica receives the call.
        self._first = found
        self._settings, self._info, self._via = found._settings, found._info, found._via
        self.__name__: str = found.__name__
        self.__doc__ = found.__doc__
        self.__signature__: inspect.Signature = found.__signature__

    def _find_everywhere(self) -> Endpoint:
        """Look up the endpoint on each replica that is open; return the first one."""
        first: Endpoint | None = None
        missing: dict[str, EndpointNotFound] = {}
        clients = self._replicas.open_clients()
        for client in clients:
            try:
                endpoint = self._of(client)
            except EndpointNotFound as exc:
                missing[client.src] = exc
                continue
            first = first or endpoint
        if first is None:
            if not missing:
                raise self._replicas.no_replica("no replica of the pool is open")
            raise next(iter(missing.values()))
        if missing:
            raise EndpointMismatch(
                f"the replicas of the pool disagree: {first.name} is missing at "
                f"{', '.join(missing)}"
            )
        if first._info.stateful:
            raise ValueError(
                f"{first.name} keeps State, which replicas don't share; call it in a session: "
                "async with pool.session() as session"
            )
        return first

    def _of(self, client: Client) -> Endpoint:
        """Return the endpoint of one replica.

        Raises:
            EndpointNotFound: The replica has no endpoint of that name.
            EndpointMismatch: The replica's endpoint is a different one.
        """
        registry = registry_of(client)
        assert registry is not None
        restarts = registry.watch.restarts
        endpoint = self._on.get(client)
        if endpoint is not None and generation_of(endpoint) == restarts:
            return endpoint
        if self._others.get(client) == restarts:
            raise self._mismatch(client)
        endpoint = with_settings_of(self._ask(client), self)
        shape = shape_of(endpoint.info)
        if self._shape is None:
            self._shape, self._name = shape, endpoint.name
        elif shape != self._shape:
            self._others[client] = restarts
            logger.warning(
                "%s receives no calls of %s, because its endpoint of that name is different",
                client.src,
                endpoint.name,
            )
            raise self._mismatch(client)
        self._on[client] = endpoint
        return endpoint

    def _mismatch(self, client: Client) -> EndpointMismatch:
        return EndpointMismatch(
            f"the replicas of the pool disagree: {self._name} at {client.src} has other parameters "
            "or outputs than on the other replicas; create a pool for each group of equal replicas"
        )

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        """Check and encode the arguments of a call; send nothing."""
        if self._replicas.closed:
            raise ClientClosed(f"the pool of {self.name} has been closed")
        prepared = prepare(self._first, args, kwargs)
        return _PoolCall(self._replicas, self, *prepared, batch=batch or self._options.batch)

    @asynccontextmanager
    async def stream_inputs(
        self, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[InputStream, None]:
        """Call an endpoint that takes inputs while outputs come back, on one replica throughout."""
        replica = self._replicas.choose_one()
        async with self._of(replica.client_now).stream_inputs(*args, **kwargs) as stream:
            yield stream

    async def _probe(self) -> None:
        failures: dict[str, TriojobError] = {}
        for client in self._replicas.open_clients():
            registry = registry_of(client)
            assert registry is not None
            try:
                return await registry.watch.probe()
            except TriojobError as exc:
                failures[client.src] = without_frames(exc)
        raise self._replicas.no_replica("no replica of the pool is reachable", failures)

    @property
    def _app_url(self) -> str | None:
        return None

    def _with(self, options: CallOptions) -> Endpoint[P, T_co]:
        return PoolEndpoint(self._replicas, self._ask, options)


def _never_started(error: TriojobError) -> bool:
    """Return whether a replica that failed with the error has started nothing."""
    # An app that has restarted refuses calls that were meant for the old process: nothing was sent.
    never = isinstance(error, ServerRestarted) or _is_no_call(error)
    return never or _FAILOVER.may_repeat(error, stateful=False)


def _is_no_call(error: TriojobError) -> bool:
    """Return whether a replica was never called, as it has a different endpoint, or none."""
    return isinstance(error, (EndpointMismatch, EndpointNotFound))


class _PoolCall(Call):
    """A call of an endpoint of a pool, whose arguments are checked and encoded."""

    def __init__(
        self,
        replicas: ReplicaSet,
        endpoint: PoolEndpoint,
        data: str,
        placeholders: FilePlaceholders,
        *,
        batch: Batch | None,
    ) -> None:
        self._batch = batch
        self.name = endpoint.name
        self.token = token_of(endpoint._first)
        self.retry = endpoint._options.retry
        self._replicas = replicas
        self._endpoint = endpoint
        self._data = data
        self._placeholders = placeholders

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        start, attempt = trio.current_time(), 0
        while True:
            attempt += 1
            result, may_repeat = await self._try_each(runner)
            seconds: float | None = None
            if may_repeat and self.retry is not None and isinstance(result, Error):
                elapsed = trio.current_time() - start
                chance = random.random()  # noqa: S311 - no secret
                seconds = self.retry.pause(result.error, attempt, elapsed, chance)
            if seconds is None:
                return result
            runner.sink.status(StatusUpdate(Status.STARTING))
            await self._replicas.pause(seconds, runner)

    async def _try_each(self, runner: JobRunner) -> tuple[Outcome[Any], bool]:
        """Try one replica after the other, while nothing has been started.

        Returns:
            The outcome, and whether the call can be retried.
        """
        failures: dict[str, TriojobError] = {}
        tried: set[Replica] = set()
        while (replica := self._replicas.choose(tried)) is not None:
            tried.add(replica)
            try:
                endpoint = self._endpoint._of(replica.client_now)
            except (EndpointMismatch, EndpointNotFound) as exc:
                failures[replica.source] = without_frames(exc)
                continue
            if not all(map(_is_no_call, failures.values())):
                self._replicas.failovers += 1
                runner.sink.status(StatusUpdate(Status.STARTING))
            # If other replicas are left, do not wait for one that refuses.
            patient = tried.issuperset(self._replicas.open_replicas())
            result, yielded = await self._send(runner, replica, endpoint, patient=patient)
            error = result.error if isinstance(result, Error) else None
            if not isinstance(error, TriojobError) or runner.record.cancelled or yielded:
                return result, False
            if not (_never_started(error) or self._may_repeat(error)):
                return result, False
            failures[replica.source] = without_frames(error)
            log_job(
                logging.INFO,
                runner.record.id,
                self.name,
                "%s did not accept the call (%s)",
                replica.source,
                type(error).__name__,
            )
        return self._none_left(failures)

    def _may_repeat(self, error: TriojobError) -> bool:
        return self.retry is not None and self.retry.may_repeat(error, stateful=False)

    def _none_left(self, failures: dict[str, TriojobError]) -> tuple[Outcome[Any], bool]:
        begun = [error for error in failures.values() if not _never_started(error)]
        if begun:
            # After an idempotent retry: a replica may have started the call.
            return Error(begun[-1]), True
        mismatches = list(filter(_is_no_call, failures.values()))
        if mismatches and len(mismatches) == len(failures):
            return Error(mismatches[0]), False
        return Error(
            self._replicas.no_replica(f"{self.name}: no replica accepted the call", failures)
        ), True

    async def _send(
        self, runner: JobRunner, replica: Replica, endpoint: Endpoint, *, patient: bool
    ) -> tuple[Outcome[Any], bool]:
        """Make the call on one replica; return its outcome, and whether it had yielded outputs."""
        health = replica.health
        epoch = health.send()
        replica.sent += 1

        def told(status: StatusUpdate) -> None:
            if status.code is not Status.QUEUE_FULL:
                health.answered(epoch)
            if status.queue_size is not None:
                health.told(status.queue_size, replica.in_flight, trio.current_time())

        runner.record.url = replica.client_now.src
        call = make_call(
            endpoint,
            self._data,
            self._placeholders,
            on_status=told,
            batch=self._batch,
            patient=patient,
        )
        try:
            result = await call.run(runner)
        finally:
            health.gave_up(epoch)
            call.discard()
        error = result.error if isinstance(result, Error) else None
        if isinstance(error, TriojobError) and is_trouble(error):
            health.failed(epoch, error, trio.current_time(), random.random())  # noqa: S311 - see above
        elif not runner.record.cancelled:
            health.answered(epoch)
        return result, call.yielded
