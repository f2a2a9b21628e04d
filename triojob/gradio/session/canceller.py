"""Sends the cancel requests of one session, as `cancel_policy.next_step` decides."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from ..._core.containment import contained
from ..._core.logs import current_call
from ..._exceptions import CallInterrupted
from ..protocol.base import StreamDriver, has_session_stream
from ..protocol.messages import InvalidMessage, Json
from .cancel_policy import CancelStep, next_step
from .function_calls import FunctionCalls
from .pending_call import PendingCall

if TYPE_CHECKING:
    from .registry import SessionRegistry
    from .session import Session

_NOTICE = 0.25
"""Seconds in which a server is expected to notice that a stream was closed."""


@final
class Canceller:
    """Sends the cancel requests of one session, one step at a time for each function."""

    def __init__(self, session: Session, registry: SessionRegistry) -> None:
        self._session = session
        self._registry = registry
        self._removed_calls: dict[str, PendingCall] = {}
        """Calls that the server has removed from its queue, by their former event ids, until they
        join again.
        """

    def start_next_step(self, fn_index: int) -> None:
        """Send the cancel requests that are due now, in a new task."""
        function = self._session.functions.get(fn_index)
        if function is None or function.cancelling or not function.abandoned:
            return
        driver = next(iter(function.calls)).driver
        if not has_session_stream(driver):
            return
        step = next_step(function.calls, dequeues=driver.dequeues)
        if step is None:
            return
        function.cancelling = True
        for call in step.dequeue:
            call.dequeuing = True
        calls = {*step.dequeue, *step.stop}
        first = next(iter(step.stop or step.dequeue))
        which = f"#{first.job_id}" if len(calls) == 1 else f"{len(calls)} calls of"
        # A call that leaves the queue loses its id, although it may have started at the same
        # moment, and the server may report that before the task begins: keep the ids.
        ids = {call: call.event_id for call in calls}
        self._registry.background.start_soon(
            self._take_step, function, driver, step, ids, name=f"<cancel {which} {first.name}>"
        )

    @trio.lowlevel.enable_ki_protection
    async def _take_step(
        self,
        function: FunctionCalls,
        driver: StreamDriver,
        step: CancelStep,
        ids: Mapping[PendingCall, str | None],
    ) -> None:
        """Send the step's cancel requests; then let the calls that it dequeued join again."""
        async with trio.open_nursery() as nursery:
            for call in step.dequeue:
                event_id = ids[call]
                assert event_id is not None
                taking_out = driver.dequeue(call.session_hash, event_id)
                nursery.start_soon(self.send, call, taking_out)
        bystanders = [call for call in step.dequeue if not call.abandoned]
        may_continue = not bystanders or await self._wait_until_dequeued(function, bystanders)
        if may_continue:
            await self._stop(step, driver, ids)
            if bystanders:
                # Before the stop, the server may have started some of them; it reports their starts
                # first and then the ends of the stopped calls.
                await self.wait_until(function, lambda: not any(map(self._is_expected, step.stop)))
            self._stopped(step.stop)
        for event_id, call in tuple(self._removed_calls.items()):
            if call.fn_index == step.fn_index:
                del self._removed_calls[event_id]
                self._join_again(call, driver)
        self._end_step(step.fn_index)
        if may_continue:
            self.start_next_step(step.fn_index)

    def _end_step(self, fn_index: int) -> None:
        function = self._session.functions[fn_index]
        function.cancelling = False
        function.changed.unpark_all()
        self._session.forget_if_idle(fn_index)
        self._session.release_if_idle()

    # Taking calls out of the queue.

    async def _wait_until_dequeued(self, function: FunctionCalls, calls: list[PendingCall]) -> bool:
        """Wait until the server has reported for each call whether it was queued.

        A function that had already started keeps running.  A generator that had already started is
        disturbed by the request, so it ends in an error.

        Returns:
            Whether all of the calls were queued.
        """
        await self.wait_until(function, lambda: not any(call.dequeuing for call in calls))
        for call in calls:
            if call.dequeuing:
                call.dequeuing = False
                call.log(
                    logging.WARNING, "the server did not report whether the call left its queue"
                )
        return not any(call.event_id is not None and not call.abandoned for call in function.calls)

    def on_dequeued(self, call: PendingCall, event_id: str) -> None:
        """Note that the server has responded to the request to remove a call from its queue."""
        session = self._session
        call.dequeuing = False
        session.functions[call.fn_index].changed.unpark_all()
        if call.translator.running:
            call.believed_ended = True
            if call.request.streams and not call.abandoned:
                call.translator.fail(
                    CallInterrupted(
                        f"{call.name} was stopped: it started while another call of it in this "
                        "session was being cancelled, and Gradio can't stop only one of them"
                    )
                )
                call.abandon()
        else:
            session.event_ids.end(event_id, end_received=True)
            call.event_id = None
            if call.abandoned:
                session.leave(call)
            else:
                self._removed_calls[event_id] = call

    def feed_removed(self, event_id: str, message: Json | InvalidMessage) -> None:
        """Feed a message of a dequeued event: the call was about to start at that moment."""
        call = self._removed_calls.get(event_id)
        if call is not None:
            call.feed(message)

    def _join_again(self, call: PendingCall, driver: StreamDriver) -> None:
        """Rejoin the queue with a call that the server has removed from it."""
        if call.translator.running:
            stopped = (
                "was stopped together with another call of it, because it started at that moment"
            )
            call.translator.fail(CallInterrupted(f"{call.name} {stopped}"))
        if call.abandoned or call.translator.finished:
            self._session.leave(call)
        else:
            self._session.joiner.start(call, driver)

    # Stopping calls.

    async def _stop(
        self, step: CancelStep, driver: StreamDriver, ids: Mapping[PendingCall, str | None]
    ) -> None:
        """Stop all running calls of a function."""
        session = self._session
        waits_alone = len(step.stop) == 1 and step.stop[0].queued and session.reusable
        # Before Gradio 6.14, a cancel request leaves a waiting call in the queue.  Breaking the
        # session's stream first does remove it.
        if waits_alone and not driver.dequeues and session.stream.close():
            with trio.move_on_after(min(_NOTICE, self._registry.timeouts.cancel), shield=True):
                await trio.sleep_forever()
        rest = [call for call in step.stop if call not in step.dequeue]
        # Send one request even if all of the calls waited: one may have started while it was being
        # removed.
        async with trio.open_nursery() as nursery:
            for call in rest or step.stop[-1:]:
                nursery.start_soon(self._post_cancel, call, ids[call])

    async def stop_unknown(self, call: PendingCall) -> None:
        """Stop a call that the server may run under an unknown event id.

        The call must be the only one of its function in the session: then a cancel request with any
        id either stops that call or does nothing.
        """
        self._session.functions[call.fn_index].cancelling = True
        await self._post_cancel(call, None)
        self._stopped((call,))
        self._end_step(call.fn_index)

    def _stopped(self, calls: tuple[PendingCall, ...]) -> None:
        """Finish calls after their cancel requests: the server sends nothing more about them."""
        self._session.stream.note_leftover_event()
        for call in calls:
            self._session.finish(call, end_received=False)

    async def _post_cancel(self, call: PendingCall, event_id: str | None) -> None:
        assert has_session_stream(call.driver)
        request = call.driver.cancel(
            call.session_hash,
            call.request,
            event_id or "unknown",
            alone=self._session.runs_nothing_but_abandoned,
        )
        if not await self.send(call, request):
            # The server may keep running the call, so no other call of the function can use this
            # session.
            self._session.retire()

    # Requests.

    async def send(self, call: PendingCall, request: Awaitable[None]) -> bool:
        """Send a cancel request, shielded and bounded; return whether the server responded."""
        current_call.set((call.job_id, call.name))
        if call.event_id is not None:
            # In some Gradio releases, the event id is enough to stop the event.
            self._registry.http.secrets.add_passing(call.event_id)
        registry, seconds = self._registry, self._registry.timeouts.cancel
        since, answered = trio.current_time(), False
        with trio.CancelScope(shield=True):
            # However many requests wait here, a responsive server receives each of them.
            await registry.cancel_requests.acquire_on_behalf_of(call)
        try:
            # Another request has timed out since this one began to wait: the server is
            # unresponsive.
            unresponsive = registry.unresponsive_since >= since
            failed = "a cancel request failed: %s"
            with contained(partial(call.log, logging.WARNING, failed), "cancelling"):
                with trio.move_on_after(0 if unresponsive else seconds, shield=True) as scope:
                    await request
                    answered = True
                if scope.cancelled_caught:
                    silence = (
                        "not waiting for the response to a cancel request: another one took longer "
                        "than %g s (Timeouts.cancel)"
                        if unresponsive
                        else "no response to a cancel request within %g s (Timeouts.cancel)"
                    )
                    call.log(logging.WARNING, silence, seconds)
                    registry.unresponsive_since = trio.current_time()
                else:
                    registry.unresponsive_since = -math.inf
        finally:
            registry.cancel_requests.release_on_behalf_of(call)
        return answered

    async def wait_until(self, function: FunctionCalls, condition: Callable[[], bool]) -> None:
        """Wait until messages make the condition true, for at most `Timeouts.cancel`."""
        with trio.move_on_after(self._registry.timeouts.cancel, shield=True):
            while not condition():
                await function.changed.park()

    def _is_expected(self, call: PendingCall) -> bool:
        """Return whether the stream has yet to report the end of a call."""
        return call.event_id in self._session.event_ids.calls and not call.believed_ended
