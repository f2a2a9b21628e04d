"""`ClientStatistics`: counts what a client has in flight, and what it has done so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .._core.group import JobGroup
from .._core.instruments import GroupStatistics
from .._core.latency import LatencyStatistics
from .session.registry import SessionRegistry
from .session.session import Session
from .session.window import WindowStatistics


@dataclass(frozen=True)
class ClientStatistics:
    """What a client has in flight at one moment, and has done so far.

    `Client.limits` holds the limits.
    """

    calls: int
    """Unfinished calls, jobs or not, in any group."""
    windows: Mapping[str, WindowStatistics]
    """For each endpoint that was called, by its name: how many of its calls wait, run and are in
    flight.
    """
    streams: int
    """Event streams that are open, or about to be."""
    waiting_for_stream: int
    """Calls that wait for an event stream."""
    waiting_for_turn: int
    """Calls of functions with State that wait for the previous call in the client's own session."""
    requests: int
    """Short requests, such as those that start a call."""
    waiting_for_request: int
    """Calls and other requests that wait for the limit of short requests."""
    joining: int
    """Calls that were sent, and that the app has neither accepted nor refused yet."""
    transfers: int
    """Files that are being uploaded or downloaded."""
    waiting_for_transfer: int
    """Files that wait for other transfers to finish."""
    heartbeats: int
    """Sessions that are kept alive."""
    cancel_requests: int
    """Cancel requests in flight."""
    waiting_for_cancel_request: int
    """Cancel requests that wait to be sent, because the app is slow to respond to others."""
    jobs: GroupStatistics
    """The jobs of `Client.submit`."""
    latency: LatencyStatistics
    """How long the calls so far were in flight, without those that were cancelled; ``windows``
    has the latency of each endpoint.
    """
    rate: float | None
    """How many of these calls ended per second recently; None if that is not known yet."""
    refusals: int
    """How often the app, or a proxy in front of it, has refused a request for load."""
    retries: int
    """How many further attempts `Retry` has made."""
    bytes_sent: int
    """Bytes in the bodies of requests, files included; headers do not count."""
    bytes_received: int
    """Bytes in the bodies of responses, files included; headers do not count."""

    @property
    def window(self) -> int:
        """How many calls can be in flight at once, of all endpoints in ``windows`` together."""
        return sum(window.size for window in self.windows.values())

    @property
    def in_flight(self) -> int:
        """Calls that were sent, or are about to be, and have not ended."""
        return sum(window.in_flight for window in self.windows.values())

    @property
    def running(self) -> int:
        """Calls in flight that run, according to the app."""
        return sum(window.running for window in self.windows.values())

    @property
    def waiting_there(self) -> int:
        """Calls in flight that wait in the app's queue, according to the app."""
        return sum(window.waiting_there for window in self.windows.values())

    @property
    def waiting_here(self) -> int:
        """Calls that wait in your program until there is room in their window."""
        return sum(window.waiting_here for window in self.windows.values())


def count(
    registry: SessionRegistry, session: Session, group: JobGroup, now: float | None
) -> ClientStatistics:
    """Count what a client has in flight; safe to call from any thread.

    Args:
        session, group: The client's own session and group.
        now: The time by Trio's clock; None for no rate.
    """
    http = registry.http
    traffic = http.traffic
    return ClientStatistics(
        calls=len(registry.calls),
        windows=registry.windows(),
        streams=int(http.streams.borrowed_tokens),
        waiting_for_stream=registry.streams.waiting,
        waiting_for_turn=session.waiting,
        requests=int(http.requests.borrowed_tokens),
        waiting_for_request=http.requests.statistics().tasks_waiting,
        joining=len(registry.joins),
        transfers=int(http.transfers.borrowed_tokens),
        waiting_for_transfer=http.transfers.statistics().tasks_waiting,
        heartbeats=int(http.heartbeats.borrowed_tokens),
        cancel_requests=int(http.cancel_requests.borrowed_tokens),
        waiting_for_cancel_request=registry.cancel_requests.statistics().tasks_waiting,
        jobs=group.statistics(),
        latency=registry.latency().statistics(),
        rate=None if now is None else registry.completions.rate(now),
        refusals=registry.refusals,
        retries=registry.retries,
        bytes_sent=traffic.sent,
        bytes_received=traffic.received,
    )
