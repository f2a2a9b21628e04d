"""The replicas of a pool, each with its client."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping

import trio

from ..._core.containment import call_failure
from ..._core.runner import JobRunner
from ..._exceptions import NoReplicaAvailable, TriojobError
from ..client import Client, registry_of
from ..session.open_calls import OpenCalls
from .balancer import Candidate, Health, choose, without_frames

logger: logging.Logger = logging.getLogger("triojob")


class Replica:
    """One replica: its client while it is open, and its health.

    Args:
        make: Makes a client of it, which can be opened once.
    """

    def __init__(self, source: str, make: Callable[[str], Client]) -> None:
        self.source: str = source
        self.health: Health = Health()
        self.client: Client | None = None
        """None while it is not open, or after it was removed."""
        self.sent: int = 0
        """How many calls have been sent to it."""
        self.failure: TriojobError | None = None
        """Why it could not be opened."""
        self.settled: trio.Event = trio.Event()
        """Set when it has been opened, or has failed to open."""
        self.gone: trio.Event = trio.Event()
        self._leaving = trio.Event()
        self._scope = trio.CancelScope()
        self._make = make
        self._next: Client | None = make(source)  # here, where an invalid source raises

    @property
    def client_now(self) -> Client:
        """The client of a replica that is open."""
        assert self.client is not None
        return self.client

    @property
    def in_flight(self) -> int:
        """How many calls are in flight there, including calls of sessions."""
        registry = None if self.client is None else registry_of(self.client)
        return 0 if registry is None else len(registry.calls)

    async def wait_idle(self) -> None:
        """Wait until no call is in flight there."""
        registry = None if self.client is None else registry_of(self.client)
        if registry is not None:
            await registry.calls.wait_idle()

    def leave(self) -> None:
        """Let it be closed; end the attempts to open it."""
        self._leaving.set()
        if self.client is None:
            self._scope.cancel(reason="the pool has removed it")
        self.client = None

    @trio.lowlevel.enable_ki_protection
    async def serve(self) -> None:
        """Keep it open until it is removed; retry if it can't be opened."""
        try:
            with self._scope:
                while not self._leaving.is_set():
                    client, self._next = self._next or self._make(self.source), None
                    await self._serve(client)
        finally:
            self.client = None
            self.gone.set()

    async def _serve(self, client: Client) -> None:
        epoch, opened = self.health.send(), False
        try:
            async with client:
                opened = True
                self.health.answered(epoch)
                self.client, self.failure = client, None
                self.settled.set()
                await self._leaving.wait()
        except Exception as exc:
            if opened:
                raise
            # The failure of one replica does not affect the others.
            self.failure = without_frames(call_failure(exc, self.source))
        if not opened:
            await self._rest(epoch)

    async def _rest(self, epoch: int) -> None:
        """Wait before the next attempt to open it."""
        assert self.failure is not None
        now = trio.current_time()
        self.health.failed(epoch, self.failure, now, random.random())  # noqa: S311 - no secret
        seconds = max(0, self.health.rest_until - now)
        self.settled.set()
        logger.log(
            logging.WARNING if self.health.failures == 1 else logging.INFO,
            "can't open %s (%s); the pool doesn't use it for %.1f s",
            self.source,
            type(self.failure).__name__,
            seconds,
        )
        await trio.sleep(seconds)


class ReplicaSet:
    """The replicas of one pool."""

    def __init__(self, sources: Iterable[str], make: Callable[[str], Client]) -> None:
        self.members: list[Replica] = [Replica(source, make) for source in sources]
        self.failovers: int = 0
        """How many times a call failed over to another replica."""
        self._turn = 0
        self._pausing = OpenCalls("the pool was closed")

    @property
    def closed(self) -> bool:
        """Whether the pool has been closed."""
        return self._pausing.closed

    def open_clients(self) -> list[Client]:
        """Return the clients that can be used."""
        return [replica.client_now for replica in self.open_replicas()]

    def open_replicas(self) -> list[Replica]:
        """Return the replicas whose clients can be used."""
        return [replica for replica in self.members if replica.client is not None]

    def choose(self, tried: set[Replica]) -> Replica | None:
        """Return the best replica that was not tried yet; None if there is none."""
        candidates = [
            None
            if replica.client is None or replica in tried
            else Candidate(replica.health, replica.in_flight)
            for replica in self.members
        ]
        place = choose(candidates, self._turn, trio.current_time())
        if place is None:
            return None
        self._turn = (place + 1) % len(candidates)
        return self.members[place]

    def choose_one(self) -> Replica:
        """Return the replica for a session.

        Raises:
            NoReplicaAvailable: None is open.
        """
        replica = self.choose(set())
        if replica is None:
            raise self.no_replica("no replica of the pool is open")
        return replica

    def no_replica(
        self, what: str, failures: Mapping[str, TriojobError] | None = None
    ) -> NoReplicaAvailable:
        """Return the error that lists the failure of each replica."""
        all_failures = {
            replica.source: replica.failure
            for replica in self.members
            if replica.failure is not None
        }
        all_failures |= failures or {}
        shown = [
            f"{source}: {type(error).__name__}: {error}" for source, error in all_failures.items()
        ]
        return NoReplicaAvailable(
            ": ".join([what, *(["; ".join(shown)] * bool(shown))]), failures=all_failures
        )

    async def pause(self, seconds: float, runner: JobRunner) -> None:
        """Wait before a call is retried; the end of the pool cancels the call meanwhile."""
        record = runner.record
        with self._pausing.open(record.scope, record), trio.move_on_after(seconds):
            await runner.receive()

    def close(self) -> None:
        """Close the pool: the clients end the calls in flight."""
        self._pausing.close()
        for replica in self.members:
            replica.leave()
