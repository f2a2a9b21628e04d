"""Puts calls into the server's queue, and finds out their event ids."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

import trio

from ..._core.containment import contained
from ..._core.logs import current_call
from ..._core.messages import Status, StatusUpdate
from ..._exceptions import ConnectionLost, ProtocolError, TriojobError
from ..protocol.base import StreamDriver
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
        session, requests = self._session, self._registry.http.requests
        may_send = False
        try:
            may_send = self._acquire_now(call)
            if not may_send:
                with call.waiting_scope():
                    if call.slot is None:
                        slot = self._registry.slot(call.info, call.job_id)
                        await slot.acquire()
                        call.slot = slot
                    await session.stream.acquire(call)
                    await self._acquire_request(call)
                    may_send = True
            if not call.wait_was_ended:
                session.take_over(call)
        finally:
            if call.session is None:
                if may_send:
                    requests.release_on_behalf_of(call)
                session.leave(call)
        if call.session is None:
            return False
        self.start(call, driver, again=False)
        return True

    def _acquire_now(self, call: PendingCall) -> bool:
        """Acquire all limits that the call needs without waiting; return whether that succeeded.

        It nearly always succeeds; then there is no wait for a cancellation to interrupt.
        """
        requests = self._registry.http.requests
        if (
            call.slot is None
            or requests.available_tokens <= 0
            or not self._may_join(self._session.functions[call.fn_index])
            or not self._session.stream.acquire_nowait(call)
        ):
            return False
        requests.acquire_on_behalf_of_nowait(call)
        return True

    async def _acquire_request(self, call: PendingCall) -> None:
        """Acquire a request for the join while no cancel request can stop the call too."""
        function = self._session.functions[call.fn_index]
        requests = self._registry.http.requests
        while True:
            while not self._may_join(function):
                await function.changed.park()
            if requests.available_tokens > 0:
                requests.acquire_on_behalf_of_nowait(call)
                return
            await requests.acquire_on_behalf_of(call)
            if self._may_join(function):
                return
            requests.release_on_behalf_of(call)

    def _may_join(self, function: FunctionCalls) -> bool:
        return function.may_join() and not self._session.event_ids.seeking

    def start(self, call: PendingCall, driver: StreamDriver, *, again: bool) -> None:
        """Send a call in a new task.

        Args:
            again: Whether the server has had the call before; then the call must wait until it can
                rejoin.
        """
        self._registry.background.start_soon(
            partial(self._join_and_read, call, driver, again=again),
            name=f"<join #{call.job_id} {call.name}>",
        )

    @trio.lowlevel.enable_ki_protection
    async def _join_and_read(self, call: PendingCall, driver: StreamDriver, *, again: bool) -> None:
        await self._join(call, driver, again=again)
        del call  # drop the reference: the stream may be read long after the call has ended
        await self._session.stream.read_on(driver)

    async def _join(self, call: PendingCall, driver: StreamDriver, *, again: bool) -> None:
        """Send a call and learn its event id: a cancellation is held back until then."""
        session, ids = self._session, self._session.event_ids
        current_call.set((call.job_id, call.name))
        refusals = session.refusals(call)
        event_id: str | None = None
        error: TriojobError | None = None
        sent = False
        may_send = not again or await self._wait_to_join(call)
        while may_send:
            sent, may_send = True, False
            event_id, error = await self._ask_to_join(call, driver)
            if (
                error is not None
                and (pause := session.pause_after_refusal(call, refusals, error)) is not None
            ):
                # The server has provably not started the call, so it can be sent again.
                sent = False
                ids.forget_join(call)
                session.stream.start(driver)
                assert call.slot is not None
                call.slot.withdraw()
                session.release_if_idle()  # other sessions may wait for the stream
                call.translator.status(StatusUpdate(Status.STARTING))
                may_send = await self._wait_to_join(call, pause)
        if not sent:
            session.leave(call)
        elif event_id is None:
            await self._not_joined(call, driver, error)
        elif call.session_hash != session.hash:
            # Meanwhile the stream broke, and the server has dropped or will drop the session's
            # events.
            lost = "the session's event stream broke while the call was being sent"
            await self._not_joined(call, driver, ConnectionLost(f"{call.name}: {lost}"))
        elif event_id in ids.calls:
            other = "the server gave its event the id of another call's event"
            await self._not_joined(call, driver, ProtocolError(f"{call.name}: {other}"))
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

    async def _wait_to_join(self, call: PendingCall, seconds: float | None = None) -> bool:
        """Wait until a call that the server does not have can be sent again.

        Args:
            seconds: The minimum wait, after which the call acquires its slot again; None if it
                holds one.

        Returns:
            Whether it can be sent; False if the call is abandoned.
        """
        session = self._session
        with call.waiting_scope():
            if seconds is not None:
                assert call.slot is not None
                await trio.sleep(seconds)
                await call.slot.acquire()
                await session.stream.acquire(call)
            await self._acquire_request(call)
            session.about_to_join(call)
            return True
        return False

    async def _not_joined(
        self, call: PendingCall, driver: StreamDriver, error: TriojobError | None
    ) -> None:
        """End a call that has no event, or an unknown event, which the server may then run."""
        session = self._session
        if error is not None:
            call.translator.fail(error)
            session.suspect(error)
        if not call.sent or (error is not None and not may_be_queued(error)):
            session.event_ids.forget_join(call)
            session.leave(call)
        elif not await self._identify(call, driver):
            session.stream.note_leftover_event()
            if len(session.functions[call.fn_index].calls) == 1:
                session.retire()
                await session.canceller.stop_unknown(call)
            else:
                session.leave(call)

    async def _identify(self, call: PendingCall, driver: StreamDriver) -> bool:
        """Wait until the stream has identified the event of a call, so that it can be cancelled.

        Returns:
            Whether it has, within the time limit of a cancel request.
        """
        session = self._session
        if call.session_hash != session.hash:
            return False  # the stream broke, so the server has dropped or will drop the event
        session.event_ids.note_join_lost(call)
        call.lost = True
        call.abandon()
        function = session.functions[call.fn_index]
        session.stream.start(driver)
        await session.canceller.wait_until(function, lambda: not call.lost)
        session.stream.give_up_lost((call,))
        return call.event_id is not None or call not in function.calls
