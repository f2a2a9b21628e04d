"""Puts calls into the server's queue, and finds out their event ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from ..._core.containment import contained
from ..._core.logs import current_call
from ..._core.messages import Status, StatusUpdate
from ..._exceptions import ConnectionLost, ProtocolError, TriojobError
from ..protocol.base import StreamDriver, has_session_stream
from .backoff import may_be_queued
from .function_calls import FunctionCalls
from .pending_call import PendingCall

if TYPE_CHECKING:
    from .registry import SessionRegistry
    from .session import Session


@final
class Joiner:
    """Sends the joins of one session.

    Its tasks are shielded from Ctrl-C, which goes to the main task.
    """

    def __init__(self, session: Session, registry: SessionRegistry) -> None:
        self._session = session
        self._registry = registry

    async def send(self, call: PendingCall, driver: StreamDriver) -> bool:
        """Wait until the call can be sent, then send it; see `Session.send`."""
        session = self._session
        if self._acquire_now(call):
            session.take_over(call)
        else:
            try:
                with call.waiting_scope():
                    await self._acquire(call)
                    session.take_over(call)
            finally:
                if call.session is None:
                    session.leave(call)
        if call.session is not None:
            self.start(call, driver)
        return call.session is not None

    def _acquire_now(self, call: PendingCall) -> bool:
        """Acquire all limits that the call needs without waiting; return whether that succeeded.

        It nearly always succeeds; then there is no wait for a cancellation to interrupt.
        """
        requests = self._registry.http.requests
        is_possible = (
            call.slot is not None
            and requests.available_tokens > 0
            and self._may_join(self._session.functions[call.fn_index])
            and self._session.stream.acquire_nowait(call)
        )
        if is_possible:
            requests.acquire_on_behalf_of_nowait(call)
        return is_possible

    async def _acquire(self, call: PendingCall) -> None:
        """Acquire all limits that the call needs, in its waiting scope.

        When this returns, nothing has ended the wait, and no cancel request can stop the call too.
        """
        function = self._session.functions[call.fn_index]
        requests = self._registry.http.requests
        await self._registry.acquire_slot(call)
        await self._session.stream.acquire(call)
        while True:
            while not self._may_join(function):
                await function.changed.park()
            await requests.acquire_on_behalf_of(call)
            if self._may_join(function) and not call.wait_was_ended:
                return
            requests.release_on_behalf_of(call)

    def _may_join(self, function: FunctionCalls) -> bool:
        return function.may_join() and not self._session.event_ids.seeking

    def start(self, call: PendingCall, driver: StreamDriver) -> None:
        """Send a call in a new task; if the server has had it before, when it can rejoin."""
        self._registry.background.start_soon(
            self._join_and_read, call, driver, name=f"<join #{call.job_id} {call.name}>"
        )

    @trio.lowlevel.enable_ki_protection
    async def _join_and_read(self, call: PendingCall, driver: StreamDriver) -> None:
        await self._join(call, driver)
        del call  # drop the reference: the stream may be read long after the call has ended
        await self._session.stream.read_on(driver)

    async def _join(self, call: PendingCall, driver: StreamDriver) -> None:
        """Send a call and learn its event id: a cancellation is held back until then."""
        session, ids = self._session, self._session.event_ids
        current_call.set((call.job_id, call.name))
        refusals = session.refusals(call)
        if call.join_scope is None and not await self._wait_to_join(call, 0):
            return
        while True:
            event_id, error = await self._ask_to_join(call, driver)
            if (
                error is None
                or (pause := session.pause_after_refusal(call, refusals, error)) is None
            ):
                break
            # The server has provably not started the call, so it can be sent again.
            ids.forget_join(call)
            session.stream.start(driver)
            assert call.slot is not None
            call.slot.withdraw()
            session.release_if_idle()  # other sessions may wait for the stream
            call.translator.status(StatusUpdate(Status.STARTING))
            if not await self._wait_to_join(call, pause):
                return
        if event_id is None:
            await self._not_joined(call, error)
        elif call.session_hash != session.hash:
            # Meanwhile the stream broke, and the server has dropped or will drop the session's
            # events.
            lost = "the session's event stream broke while the call was being sent"
            await self._not_joined(call, ConnectionLost(f"{call.name}: {lost}"))
        elif event_id in ids.calls:
            other = "the server gave its event the id of another call's event"
            await self._not_joined(call, ProtocolError(f"{call.name}: {other}"))
        else:
            session.joined(call, event_id)

    async def _ask_to_join(
        self, call: PendingCall, driver: StreamDriver
    ) -> tuple[str | None, TriojobError | None]:
        """Send a call once; return its event id, or the error if the join failed."""
        event_id: str | None = None
        errors: list[TriojobError] = []
        assert call.join_scope is not None
        try:
            with contained(errors.append, call.name), call.join_scope:
                event_id = await driver.join(
                    call.session_hash, call.request, self._session.before_send(call)
                )
        finally:
            self._registry.joins.discard(call)
            call.join_scope = None
            self._registry.http.requests.release_on_behalf_of(call)
        return event_id, errors.pop() if errors else None

    async def _wait_to_join(self, call: PendingCall, seconds: float) -> bool:
        """Wait until a call that the server does not have can be sent again.

        Args:
            seconds: The minimum wait.

        Returns:
            Whether it can be sent; False if the call was abandoned, which has ended it.
        """
        with call.waiting_scope():
            await trio.sleep(seconds)
            await self._acquire(call)
            self._session.about_to_join(call)
        if call.abandoned:
            self._session.leave(call)
        return not call.abandoned

    async def _not_joined(self, call: PendingCall, error: TriojobError | None) -> None:
        """End a call that has no event, or an unknown event, which the server may then run."""
        session = self._session
        if error is not None:
            call.translator.fail(error)
            session.suspect(error)
        if not call.sent or (error is not None and not may_be_queued(error)):
            session.event_ids.forget_join(call)
            session.leave(call)
        # If the stream broke, the server has dropped or will drop the event.
        elif call.session_hash != session.hash or not await self._identify(call):
            if len(session.functions[call.fn_index].calls) == 1:
                session.retire()
                await session.canceller.stop_unknown(call)
            else:
                session.stream.note_leftover_event()
                session.leave(call)

    async def _identify(self, call: PendingCall) -> bool:
        """Wait until the stream has identified the event of a call, so that it can be cancelled.

        Returns:
            Whether it has, within the time limit of a cancel request.
        """
        session = self._session
        assert has_session_stream(call.driver)
        session.event_ids.note_join_lost(call)
        call.lost = True
        call.abandon()
        function = session.functions[call.fn_index]
        session.stream.start(call.driver)
        await session.canceller.wait_until(function, lambda: not call.lost)
        session.stream.give_up_lost((call,))
        return call.event_id is not None or call not in function.calls
