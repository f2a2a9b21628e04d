"""Calls that use a connection each, for protocols without an event stream for the session."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from ..._core.containment import contained
from ..._core.logs import current_call
from ..._core.messages import Status, StatusUpdate
from ..._exceptions import ConnectionLost, TriojobError
from ..protocol.base import CallDriver, Conversation
from .pending_call import PendingCall

if TYPE_CHECKING:
    from .registry import SessionRegistry
    from .session import Session


@final
class Conversations:
    """Makes the calls of one session that use a connection each."""

    def __init__(self, session: Session, registry: SessionRegistry) -> None:
        self._session = session
        self._registry = registry

    async def send(self, call: PendingCall, driver: CallDriver) -> bool:
        """Wait until the call can be made, then make it in a new task; see `Session.send`."""
        session, registry = self._session, self._registry
        try:
            with call.waiting_scope():
                await registry.acquire_slot(call)
                await registry.streams.acquire(call, call.job_id)
                if call.wait_was_ended:
                    registry.streams.release(call, call.job_id)
                else:
                    session.take_over(call)
        finally:
            if call.session is None:
                session.leave(call)
        if call.session is not None:
            registry.background.start_soon(
                self._converse, call, driver, name=f"<call #{call.job_id} {call.name}>"
            )
        return call.session is not None

    @trio.lowlevel.enable_ki_protection
    async def _converse(self, call: PendingCall, driver: CallDriver) -> None:
        session, translator = self._session, call.translator
        assert call.slot is not None
        current_call.set((call.job_id, call.name))
        call.log(logging.DEBUG, "sent on its own connection")
        if not driver.traits.announces_start:
            call.slot.started()
        assert call.conversation_scope is not None
        refusals = session.refusals(call)

        def fail(error: TriojobError) -> None:
            session.suspect(error)
            translator.fail(error)

        def begin() -> Conversation:
            assert call.join_scope is not None
            return Conversation(
                session_hash=call.session_hash,
                call=call.request,
                ready=session.before_send(call),
                deliver=call.feed,
                ended=lambda: translator.finished,
                hold=call.join_scope,
                refused=partial(session.stream.wait_after_refusal, (call,), refusals),
            )

        conversation = begin()
        try:
            with contained(fail, call.name), call.conversation_scope:
                while (error := await self._error_of(driver, conversation)) is not None:
                    begun = translator.started or conversation.event_id is not None
                    seconds = None if begun else session.pause_after_refusal(call, refusals, error)
                    if seconds is None:
                        raise error
                    translator.status(StatusUpdate(Status.STARTING))
                    await trio.sleep(seconds)
                    session.about_to_join(call)
                    conversation = begin()
                if not translator.finished:
                    raise ConnectionLost(
                        f"the server closed the connection before {call.name} had finished"
                    )
        finally:
            self._registry.joins.discard(call)
            self._registry.streams.release(call, call.job_id)
            # Cancel here, as closing the client may cancel this task before it notices that its
            # call was abandoned; the cancel request is shielded.
            if call.abandoned:
                alone = session.runs_nothing_but_abandoned
                await session.canceller.send(call, driver.cancel(conversation, alone=alone))
                session.retire()
            session.leave(call)

    @staticmethod
    async def _error_of(driver: CallDriver, conversation: Conversation) -> TriojobError | None:
        errors: list[TriojobError] = []
        with contained(errors.append, conversation.call.name):
            await driver.converse(conversation)
        return errors.pop() if errors else None
