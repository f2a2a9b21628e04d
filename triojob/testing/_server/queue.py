"""The app's queue: events that wait and run, by function, and their cancellation."""

from __future__ import annotations

from typing import Any

import trio

from .description import App, AppEndpoint
from .durations import MeanDurations
from .event import Event
from .inputs import EventInputs
from .outputs import EventOutputs
from .session import AppSession


def ignore_event(event: Event) -> None:
    """Do nothing with an event."""


class EventQueue:
    """The events of one function: those that wait for a run, and those that run."""

    def __init__(self, limit: int | None, run_durations: MeanDurations) -> None:
        self.waiting: list[Event] = []
        self.running: dict[Event, float] = {}
        """The running events, with their start times."""
        self._limit = limit
        self._durations = run_durations

    @property
    def has_room(self) -> bool:
        return self._limit is None or len(self.running) < self._limit

    def remove(self, event: Event) -> None:
        """Remove a waiting event."""
        self.waiting.remove(event)
        event.state = "removed"
        event.finished.set()

    def broadcast(self, after: int = 0) -> None:
        """Send the waiting events, from one rank on, their ranks and estimates."""
        free_in = self._free_in()
        ahead: float | None = 0.0
        for rank, event in enumerate(self.waiting):
            mean = self._durations.mean(event.endpoint)
            eta = None
            if mean is not None and ahead is not None and free_in is not None:
                eta = mean + ahead + free_in
            if rank >= after and not (event.endpoint.manual or event.endpoint.relayed):
                event.send_nowait(
                    {
                        "msg": "estimation",
                        "rank": rank,
                        "queue_size": len(self.waiting),
                        "rank_eta": eta,
                    }
                )
            if self._limit is None:
                ahead = 0.0
            elif ahead is not None and mean is not None:
                ahead += mean / self._limit
            else:
                ahead = None

    def _free_in(self) -> float | None:
        """Estimate in how many seconds there is room; return None if that is unknown."""
        if self.has_room:
            return 0.0
        ends = [
            started + mean - trio.current_time()
            for event, started in self.running.items()
            if (mean := self._durations.mean(event.endpoint)) is not None
        ]
        return max(min(ends, default=0.0), 0.0) if len(ends) == len(self.running) else None


class Queue:
    """All events of an app."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        self.events: dict[str, Event] = {}
        """Every event that ever joined the queue, by id, in order."""
        self.sessions: dict[str, AppSession] = {}
        self.stopped = False
        """Whether the queue was stopped, as when the app shuts down."""
        self.deaf_to_cancel = False
        """Ignore cancel requests."""
        self.eager = True
        """Start the next event at once, even while the cancel request that made room still runs.

        Gradio does so sometimes: then cancelling a queued event starts it.
        """
        self.on_join = ignore_event
        self.on_cancel = ignore_event
        self._app = app
        self._nursery = nursery
        self._queues: dict[str, EventQueue] = {}
        self._run_durations = MeanDurations()
        self._step_durations = MeanDurations()

    @property
    def running(self) -> list[Event]:
        return [event for queue in self._queues.values() for event in queue.running]

    @property
    def waiting(self) -> list[Event]:
        return [event for queue in self._queues.values() for event in queue.waiting]

    # --- Joining and running ---

    async def join(self, endpoint: AppEndpoint, body: dict[str, Any]) -> Event:
        """Add a call; on return, a cached one has ended, and a relayed one is admitted."""
        event = self._make(endpoint, body)
        event.session.open()
        event.session.pending.add(event.event_id)
        self.events[event.event_id] = event
        self.on_join(event)
        if endpoint.cached:
            await self._run(event, trio.current_time())
            event.finished.set()
            return event
        queue = self._queues.get(endpoint.concurrency_id)
        if queue is None:
            queue = EventQueue(endpoint.concurrency_limit, self._run_durations)
            self._queues[endpoint.concurrency_id] = queue
        queue.waiting.append(event)
        queue.broadcast(after=len(queue.waiting) - 1)
        self._start_runs(queue)
        if endpoint.relayed:
            await event.wait_admitted()
        return event

    def _make(self, endpoint: AppEndpoint, body: dict[str, Any]) -> Event:
        session_hash: str = body["session_hash"]
        session = self.sessions.get(session_hash)
        if session is None:
            session = self.sessions[session_hash] = AppSession(session_hash)
        edits = self._app.sends_edits and not body.get("simple_format")
        outputs = EventOutputs(endpoint, session, self._step_durations, edits=edits)
        return Event(endpoint, session, EventInputs(endpoint, session, body), outputs)

    def _start_runs(self, queue: EventQueue) -> None:
        """Start waiting events while there is room."""
        while queue.waiting and queue.has_room and not self.stopped:
            event = queue.waiting.pop(0)
            queue.running[event] = trio.current_time()
            self._nursery.start_soon(self._run_queued, queue, event)
            queue.broadcast()

    async def _run_queued(self, queue: EventQueue, event: Event) -> None:
        try:
            await self._run(event, queue.running[event])
        finally:
            del queue.running[event]
            event.finished.set()
        if not self.eager:
            # Like Gradio's worker, which checks again after a millisecond.
            await trio.sleep(0.001)
        self._start_runs(queue)

    async def _run(self, event: Event, started: float) -> None:
        await event.run(eta=self._run_durations.mean(event.endpoint))
        if event.ended and event.state == "finished":
            self._run_durations.add(event.endpoint, trio.current_time() - started)

    # --- Ending ---

    async def cancel(self, session_hash: str, fn_index: int, event_id: str) -> None:
        """Do what Gradio does after a cancel request."""
        if self.deaf_to_cancel:
            return
        if event_id in self.events:
            self.on_cancel(self.events[event_id])
        # Every run of that function in that session, not only the one that is named.
        killed = [
            event
            for event in self.running
            if (
                event.event_id == event_id
                if event.waits_elsewhere
                else (event.session_hash, event.endpoint.fn_index) == (session_hash, fn_index)
            )
        ]
        for event in killed:
            event.cancel_scope.cancel()
        for event in killed:
            await event.finished.wait()
        for queue in self._queues.values():
            for event in queue.waiting:
                if event.event_id == event_id:
                    queue.remove(event)
                    break
        # Only the named one receives a message; the others stay pending forever.
        session = self.sessions.get(session_hash)
        if session is not None and event_id in session.pending:
            session.post(
                {
                    "msg": "process_completed",
                    "event_id": event_id,
                    "output": {},
                    "success": True,
                    "title": None,
                    "used_cache": None,
                    "cache_duration": None,
                    "avg_time": None,
                }
            )

    def clean_session(self, session_hash: str) -> None:
        """Drop a session's events in the queue, as when its stream breaks."""
        session = self.sessions.get(session_hash)
        if session is None:
            return
        session.messages = None
        for queue in self._queues.values():
            for event in queue.running:
                if event.session is session:
                    # A plain function keeps running without sending; a generator stops at its next
                    # yield. Its id stays pending forever.
                    event.alive = False
                    if event.waits_elsewhere:
                        event.cancel_scope.cancel()
            for event in [event for event in queue.waiting if event.session is session]:
                queue.remove(event)
                session.pending.discard(event.event_id)

    def drop_events(self) -> None:
        """Cancel the running events and remove the waiting ones, as when the process ends."""
        for queue in self._queues.values():
            for event in [*queue.waiting]:
                queue.remove(event)
            for event in queue.running:
                event.alive = False
                event.cancel_scope.cancel()

    def forget(self) -> None:
        """Forget all sessions and events, as a new process would."""
        self.drop_events()
        self._queues.clear()
        self.sessions.clear()
