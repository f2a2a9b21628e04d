"""`ClientPool`: several replicas of one app behind one client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import final

import trio

from ..._core.group import JobGroup
from ..._core.instruments import GroupStatistics
from ..._core.lifetime import NurseryUnwrapper, SingleUse
from ..._core.runs import require_task
from ..._exceptions import ClientClosed, TriojobError
from ..client import Client, ClientSession
from ..endpoint import Endpoint, Via
from ..surface import Surface
from .endpoint import PoolEndpoint
from .replica import Replica, ReplicaSet


@dataclass(frozen=True)
class ReplicaStatistics:
    """The state of one replica of a pool, at one moment."""

    source: str
    """The source under which it was added to the pool."""
    open: bool
    """Whether the pool has a client of it; if not, the pool retries from time to time."""
    sent: int
    """How many calls have been sent to it so far, including those that it refused."""
    in_flight: int
    """How many calls of this pool are in flight there."""
    queued: float
    """The estimated number of waiting calls of other clients, by its last report; decays over time.
    """
    cooldown: float
    """For how many more seconds it receives no calls, after a failure; 0 if it can receive calls.
    """
    failure: TriojobError | None
    """Why it has a cooldown or is not open; None if it works."""


@dataclass(frozen=True)
class PoolStatistics:
    """What a pool has in flight, at one moment."""

    replicas: tuple[ReplicaStatistics, ...]
    """The replicas in the order in which they were added."""
    failovers: int
    """How many times a call went to another replica after one had not accepted it."""
    jobs: GroupStatistics
    """The jobs of `ClientPool.submit`."""


@final
class ClientPool(Surface, SingleUse):
    """Several replicas of one app, used as one: ``async with ClientPool([url, url]) as pool``.

    A call goes to the replica with the least load: the fewest calls of this pool in flight, and the
    shortest queue of other calls by its server's last report.  If that replica does not accept the
    call (it can't be reached, its queue is full, it limits the rate), the call goes to another.  A
    call that a replica may have started goes to no other replica, unless the endpoint's or the
    group's `Retry` is ``idempotent``.
    Files are uploaded to the replica that receives the call.

    A replica that fails has a cooldown, which is longer after more failures in a row.

    Args:
        sources: The replicas' sources, as for `Client`.
        client: Makes the client of one source.  For options, such as a login: ``ClientPool(urls,
            lambda url: Client(url, auth=auth))``.
        require_all: Whether entering fails if one replica can't be opened.
        limit, history: As for `JobGroup`, for the pool's own group.

    Raises:
        ValueError: There is no source, or a duplicate one; or an exception of ``client``.

    Entering waits until each replica is open or has failed to open, and raises `NoReplicaAvailable`
    if none is open.  The pool retries failed replicas from time to time.
    Leaving it waits for the jobs of its `submit`; an exception of the body cancels them and is
    raised as it is, not in a group.  All calls end with the pool, including calls of jobs in other
    groups.
    """

    def __init__(
        self,
        sources: Iterable[str],
        client: Callable[[str], Client] = Client,
        *,
        require_all: bool = False,
        limit: float | None = None,
        history: int | None = None,
    ) -> None:
        found = [sources] if isinstance(sources, str) else list(sources)
        if not found or len(set(found)) < len(found):
            raise ValueError(f"a pool needs one or more replicas, each only once, not {found!r}")
        self._make = client
        self._replicas = ReplicaSet(found, client)
        self._require_all = require_all
        self._group = JobGroup(limit=limit, history=history)
        self._nursery: trio.Nursery | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The replicas' sources, in the order in which they were added."""
        return tuple(replica.source for replica in self._replicas.members)

    @property
    def closed(self) -> bool:
        """Whether the pool has ended."""
        return self._replicas.closed

    def _own_group(self) -> JobGroup:
        return self._group

    def _entered(self) -> trio.Nursery:
        if self._nursery is None:
            raise ClientClosed("enter the pool first: async with ClientPool(urls) as pool")
        if self._replicas.closed:
            raise ClientClosed("the pool has been closed; create a new one")
        return self._nursery

    def _find(self, api_name: str | None, fn_index: int | None, via: Via | None) -> Endpoint:
        self._entered()

        def ask(client: Client) -> Endpoint:
            return client.endpoint(api_name, fn_index=fn_index, via=via)

        return PoolEndpoint(self._replicas, ask)

    @asynccontextmanager
    async def session(
        self, *, limit: float | None = None, history: int | None = None
    ) -> AsyncGenerator[ClientSession, None]:
        """Open a session with the replica that has the least load; see `Client.session`.

        All its calls go there, so that they share ``gr.State``.  If the replica fails, they fail:
        no other replica has the State.

        Raises:
            NoReplicaAvailable: No replica is open.
            ClientClosed: The pool is not open.
        """
        self._entered()
        require_task("a session of this pool", self._group.trio_token)
        replica = self._replicas.choose_one()
        async with replica.client_now.session(limit=limit, history=history) as session:
            yield session

    async def add(self, source: str) -> None:
        """Add a replica; return when it is open.

        If it is cancelled, the replica is not added.

        Raises:
            ValueError: The pool has it already.
            TriojobError: It can't be opened; see `Client`.
        """
        nursery = self._entered()
        require_task("ClientPool.add()", self._group.trio_token)
        if source in self.sources:
            raise ValueError(f"the pool already has {source!r}")
        replica = Replica(source, self._make)
        nursery.start_soon(replica.serve, name=f"<replica {source}>")
        try:
            await replica.settled.wait()
            if replica.failure is not None:
                raise replica.failure
            self._entered()
        except BaseException:
            replica.leave()
            raise
        self._replicas.members.append(replica)

    async def remove(self, source: str) -> None:
        """Send no more calls to a replica, and close it when its calls in flight have ended.

        Its sessions end at once.  Being cancelled ends the calls in flight.

        Raises:
            ValueError: The pool does not have it, or has no other replica.
        """
        self._entered()
        require_task("ClientPool.remove()", self._group.trio_token)
        found = [replica for replica in self._replicas.members if replica.source == source]
        if not found or len(self._replicas.members) == 1:
            raise ValueError(f"can't remove {source!r} from the pool, which has {self.sources}")
        (replica,) = found
        self._replicas.members.remove(replica)
        try:
            await replica.wait_idle()
        finally:
            replica.leave()
        await replica.gone.wait()

    def statistics(self) -> PoolStatistics:
        """Return what the pool has in flight, and the state of its replicas."""
        now = trio.current_time()
        return PoolStatistics(
            replicas=tuple(self._statistics_of(replica, now) for replica in self._replicas.members),
            failovers=self._replicas.failovers,
            jobs=self._group.statistics(),
        )

    @staticmethod
    def _statistics_of(replica: Replica, now: float) -> ReplicaStatistics:
        health = replica.health
        return ReplicaStatistics(
            source=replica.source,
            open=replica.client is not None,
            sent=replica.sent,
            in_flight=replica.in_flight,
            queued=health.queued(now),
            cooldown=max(0.0, health.rest_until - now) if health.failures else 0.0,
            failure=replica.failure or health.last_failure,
        )

    # Lifetime.

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[None, None]:
        with NurseryUnwrapper(nurseries=2) as body:
            async with trio.open_nursery() as nursery:
                try:
                    with body.watched():
                        await self._open(nursery)
                    async with self._group:
                        with body.watched():
                            yield
                finally:
                    self._replicas.close()

    async def _open(self, nursery: trio.Nursery) -> None:
        for replica in self._replicas.members:
            nursery.start_soon(replica.serve, name=f"<replica {replica.source}>")
        for replica in self._replicas.members:
            await replica.settled.wait()
        failed = [replica for replica in self._replicas.members if replica.failure is not None]
        if len(failed) == len(self._replicas.members) or (failed and self._require_all):
            raise self._replicas.no_replica("the pool can't be opened")
        self._nursery = nursery

    def __repr__(self) -> str:
        opened = len(self._replicas.open_clients())
        state = "closed" if self._replicas.closed else f"{opened} open, {len(self.jobs)} jobs"
        return f"<ClientPool of {len(self._replicas.members)}: {state}>"
