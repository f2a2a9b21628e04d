"""What a client has under way, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from .._group import JobGroup
from .._instruments import GroupStatistics
from ._session import Hub, Session


@dataclass(frozen=True)
class ClientStatistics:
    """What a client has under way, at one moment."""

    calls: int
    """Those that have not ended, jobs or not, in whatever group."""
    streams: int
    """Event streams that are open, or about to be."""
    max_streams: int
    waiting_for_stream: int
    """Calls that wait for one of those."""
    waiting_for_turn: int
    """Calls of functions with State that wait for the one before in the client's own session."""
    requests: int
    """Short requests, such as those that start a call."""
    max_requests: int
    waiting_for_request: int
    """Calls and other requests that wait until they may be one of those."""
    joining: int
    """Calls that were sent, and that the app has yet to take or to refuse."""
    transfers: int
    """Files, up and down."""
    max_transfers: int
    waiting_for_transfer: int
    """Files that wait for others to be through."""
    heartbeats: int
    """Sessions that are kept alive."""
    goodbyes: int
    """Requests that tell of a cancellation."""
    waiting_for_goodbye: int
    """Cancellations that the app has yet to be told of, as it is slow to answer others."""
    jobs: GroupStatistics
    """Those of `Client.submit`."""


def count(hub: Hub, session: Session, group: JobGroup) -> ClientStatistics:
    """Count what a client has under way, whose own session and group these are."""
    http = hub.http
    return ClientStatistics(
        calls=hub.under_way,
        streams=int(http.streams.borrowed_tokens),
        max_streams=int(http.streams.total_tokens),
        waiting_for_stream=hub.waiting,
        waiting_for_turn=session.waiting,
        requests=int(http.requests.borrowed_tokens),
        max_requests=int(http.requests.total_tokens),
        waiting_for_request=http.requests.statistics().tasks_waiting,
        joining=len(hub.joins),
        transfers=int(http.transfers.borrowed_tokens),
        max_transfers=int(http.transfers.total_tokens),
        waiting_for_transfer=http.transfers.statistics().tasks_waiting,
        heartbeats=int(http.heartbeats.borrowed_tokens),
        goodbyes=int(http.goodbyes.borrowed_tokens),
        waiting_for_goodbye=hub.parting.statistics().tasks_waiting,
        jobs=group.statistics(),
    )
