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
    """How one replica of a pool is, at one moment."""

    source: str
    """What it was given to the pool as."""
    open: bool
    """Whether the pool has a client of it; if not, it tries again from time to time."""
    sent: int
    """How many calls have gone to it so far, those that it refused included."""
    in_flight: int
    """How many calls of this pool are in flight there."""
    queued: float
    """About how many calls of others wait there, by what it said last; less as that grows old."""
    cooldown: float
    """For how many more seconds it gets no calls, after a failure; 0 if it may get some."""
    failure: TriojobError | None
    """Why that is, or why it is not open; None while all is well."""


@dataclass(frozen=True)
class PoolStatistics:
    """What a pool has under way, at one moment."""

    replicas: tuple[ReplicaStatistics, ...]
    """In the order in which they were given."""
    failovers: int
    """How often a call went to another replica after one had not taken it."""
    jobs: GroupStatistics
    """Those of `ClientPool.submit`."""


@final
class ClientPool(Surface, SingleUse):
    """Several replicas of one app, used as one: ``async with ClientPool([url, url]) as pool``.

    A call goes to the replica that has the least to do: the fewest calls of this pool under way,
    and the shortest queue of others by what its server said last.  If that one does not take the
    call (it can't be reached, its queue is full, it limits the rate), the call goes to another.
    What a replica may have begun goes to no other, unless the endpoint's or the group's `Retry`
    is ``idempotent``.
    Files are uploaded to the replica that the call goes to.

    A replica that fails is left alone for a while, and longer the more often it fails in a row.

    Args:
        sources: Where the replicas are, as for `Client`.
        client: Makes the client of one of them.  For options, such as a login:
            ``ClientPool(urls, lambda url: Client(url, auth=auth))``.
        require_all: Whether entering fails if one replica can't be opened.
        limit, history: As for `JobGroup`, for the pool's own group.

    Raises:
        ValueError: There is no source, or one twice; or what ``client`` raises.

    Entering waits until each replica is open or has failed to, and raises `NoReplicaAvailable` if
    none is open.  Those that are not are tried again from time to time.
    Leaving it waits for the jobs of its `submit`; an exception of the body cancels them and passes
    through bare.  All calls end with the pool, those of jobs in other groups too.
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
            raise ValueError(f"a pool needs replicas, each of them once, not {found!r}")
        self._make = client
        self._replicas = ReplicaSet(found, client)
        self._require_all = require_all
        self._group = JobGroup(limit=limit, history=history)
        self._nursery: trio.Nursery | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the replicas are, in the order in which they were given."""
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
            raise ClientClosed("the pool has been closed; make another one")
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
        """Open a session with the replica that has the least to do; see `Client.session`.

        All its calls go there, so that they share ``gr.State``.  If the replica fails, they fail:
        no other one has the State.

        Raises:
            NoReplicaAvailable: None of them is open.
            ClientClosed: The pool is not open.
        """
        self._entered()
        require_task("a session of this pool", self._group.trio_token)
        replica = self._replicas.choose_one()
        async with replica.client_now.session(limit=limit, history=history) as session:
            yield session

    async def add(self, source: str) -> None:
        """Take one more replica; return when it is open.

        Being cancelled leaves it out.

        Raises:
            ValueError: The pool has it already.
            TriojobError: It can't be opened; see `Client`.
        """
        nursery = self._entered()
        require_task("ClientPool.add()", self._group.trio_token)
        if source in self.sources:
            raise ValueError(f"the pool has {source!r} already")
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
        """Send no more calls to a replica, and close it when those under way have ended.

        Sessions there end at once.  Being cancelled ends the calls under way.

        Raises:
            ValueError: The pool hasn't got it, or has no other.
        """
        self._entered()
        require_task("ClientPool.remove()", self._group.trio_token)
        found = [replica for replica in self._replicas.members if replica.source == source]
        if not found or len(self._replicas.members) == 1:
            raise ValueError(f"the pool can't do without {source!r}; it has {self.sources}")
        (replica,) = found
        self._replicas.members.remove(replica)
        try:
            await replica.wait_idle()
        finally:
            replica.leave()
        await replica.gone.wait()

    def statistics(self) -> PoolStatistics:
        """Return what the pool has under way, and how its replicas are."""
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

    # Its life.

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
