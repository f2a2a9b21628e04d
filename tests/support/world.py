"""Real sessions without a client and without HTTP: a test plays the server's responses."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import trio
from trio.testing import wait_all_tasks_blocked

from triojob import (
    Limits,
    ProtocolError,
    Status,
    StatusUpdate,
    Timeouts,
    TriojobError,
    UnexpectedResponse,
)
from triojob._core.logs import current_call
from triojob._secrets import Secrets
from triojob.gradio.protocol.base import CallDriver, CallRequest, Conversation, StreamDriver
from triojob.gradio.protocol.messages import InvalidMessage, Json
from triojob.gradio.protocol.traits import ProtocolTraits
from triojob.gradio.session.function_calls import FunctionCalls
from triojob.gradio.session.pending_call import PendingCall
from triojob.gradio.session.registry import SessionRegistry
from triojob.gradio.session.session import Session

BUSY = UnexpectedResponse("/f: the server responded with status 503", status=503, retry_after=7)


class Translator:
    """What a call's messages have made of it."""

    def __init__(self) -> None:
        self.started = self.running = self.finished = False
        self.error: TriojobError | None = None
        self.codes: list[Status] = []

    def feed(self, message: Json | InvalidMessage) -> None:
        self.started = True
        if isinstance(message, InvalidMessage):
            self.fail(ProtocolError(str(message.error)))
            return
        self.running = message["msg"] == "process_starts"
        self.finished = message["msg"] == "process_completed"

    def status(self, update: StatusUpdate) -> None:
        self.codes.append(update.code)

    def fail(self, error: TriojobError) -> None:
        self.error, self.finished = error, True

    def cancel(self, _reason: str) -> None:
        self.finished = True


class OnStream(StreamDriver):
    """The event of each call has the call's name, unless the test says what becomes of a join."""

    cancels = dequeues = True
    traits = ProtocolTraits(session_stream=True)

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.logged: list[object] = []
        """The job and endpoint that the log line of each join would name."""
        self.told: list[str] = []
        """The events that were to be cancelled."""
        self.gates: dict[str, trio.Event] = {}
        self.errors: dict[str, TriojobError] = {}
        """How the first join of a call fails."""
        self.refusals: list[TriojobError] = []
        """How the next requests for the stream fail."""
        self._messages, self._received = trio.open_memory_channel[Any](math.inf)

    def end(self) -> None:
        """Close the stream; the next one is another."""
        self._messages.close()
        self._messages, self._received = trio.open_memory_channel[Any](math.inf)

    def say(self, kind: str, event_id: str | None = None, **fields: object) -> None:
        self.play({"msg": kind, "event_id": event_id, **fields})

    def play(self, message: Json | InvalidMessage) -> None:
        self._messages.send_nowait(message)

    async def join(self, session_hash: str, call: CallRequest, ready: Any) -> str:
        await ready(None)
        self.sent.append(call.data)
        self.logged.append(current_call.get())
        if call.data in self.gates:
            await self.gates[call.data].wait()
        if call.data in self.errors:
            raise self.errors.pop(call.data)
        return call.data

    @asynccontextmanager
    async def open(self, session_hash: str, refused: Any) -> AsyncIterator[Any]:
        while self.refusals:
            await refused(self.refusals.pop(0))
        yield self._received

    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        self.told.append(event_id)
        if event_id in self.gates:
            await self.gates[event_id].wait()

    async def dequeue(self, session_hash: str, event_id: str) -> None:
        self.told.append(event_id)


class OnConnections(CallDriver):
    """Each call is what ``script`` makes of it; without one it lasts for ever."""

    cancels = dequeues = True

    def __init__(self, *, announces_start: bool = True) -> None:
        self.traits = ProtocolTraits(session_stream=False, announces_start=announces_start)
        self.sent: list[str] = []
        self.logged: list[object] = []
        self.script: Callable[[Conversation], None] | None = None

    async def converse(self, conversation: Conversation) -> None:
        self.sent.append(conversation.call.data)
        self.logged.append(current_call.get())
        if self.script is None:
            await trio.sleep_forever()
        else:
            self.script(conversation)

    async def cancel(self, *_: Any, **__: Any) -> None:
        """The server hears it."""


class World:
    """A registry of sessions, without a client."""

    def __init__(
        self,
        background: trio.Nursery,
        driver: StreamDriver | CallDriver,
        *,
        in_flight: int | None = 1,
        requests: int = 1,
        streams: int = 1,
    ) -> None:
        async def revalidate(_connection: int | None) -> None:
            """The app is the same."""

        self.driver = driver
        self.closed_idle = 0
        """How often the idle connections were closed."""
        self.http = SimpleNamespace(
            requests=trio.CapacityLimiter(requests),
            streams=trio.CapacityLimiter(streams),
            secrets=Secrets(),
            close_idle=self._close_idle,
        )
        watch = SimpleNamespace(
            restarts=0,
            revalidate=revalidate,
            check_generation=lambda *_: None,
            mark_suspect=lambda: None,
        )
        scope = SimpleNamespace(cancel=lambda: None)
        self.registry = SessionRegistry(
            cast("Any", self.http),
            cast("Any", None),
            background,
            Timeouts(),
            Limits(in_flight=in_flight, refused_for=20),
            heartbeats=cast("Any", SimpleNamespace(start=lambda _hash: scope)),
            watch=cast("Any", watch),
        )
        self.info = cast("Any", SimpleNamespace(fn_index=3, name="/f", stateful=False))

    def _close_idle(self) -> None:
        self.closed_idle += 1

    def call(
        self, name: str = "a", job_id: int = 1, fn_index: int = 3, *, streams: bool = False
    ) -> PendingCall:
        return PendingCall(
            job_id,
            self.info,
            CallRequest("/f", fn_index, "/f", name, streams=streams),
            self.driver,
            cast("Any", Translator()),
            slot=None,
            restarts=0,
            patient=True,
        )

    async def with_slot(self) -> PendingCall:
        """Make a call as the client makes it for a session without other calls."""
        call = self.call()
        call.slot = self.registry.slot(self.info, 1)
        await call.slot.acquire()
        return call

    async def occupy(self, session: Session, what: str) -> Callable[[], None]:
        """See to it that calls wait for something; return what ends that."""
        if what == "slot":
            slot = self.registry.slot(self.info, 0)
            await slot.acquire()
            return slot.release
        if what == "stream":
            await self.registry.streams.acquire(self, 0)
            return partial(self.registry.streams.release, self, 0)
        if what == "request":
            self.http.requests.acquire_on_behalf_of_nowait(self)
            return partial(self.http.requests.release_on_behalf_of, self)
        function = session.functions[3] = FunctionCalls(1 if what == "call" else math.inf)
        if what == "call":
            await function.limiter.acquire(0)

            def end() -> None:
                function.limiter.release(0)
                session.forget_if_idle(3)

            return end
        function.cancelling = True
        return partial(session.canceller._end_step, 3)

    def assert_nothing_held(self, session: Session) -> None:
        """Show that no call holds anything, or is in the way of another."""
        assert session.functions == {}
        assert not session.stream.held
        assert self.http.requests.borrowed_tokens == self.http.streams.borrowed_tokens == 0
        assert [window.in_flight for window in self.registry.windows().values()] in ([], [0])
        assert self.registry.joins == set()


@asynccontextmanager
async def a_world(driver: StreamDriver | CallDriver, **limits: int | None) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery, driver, **cast("Any", limits))
        nursery.cancel_scope.cancel()


def follow(call: PendingCall) -> Translator:
    return cast("Translator", call.translator)


async def sent(world: World, session: Session, names: str) -> list[PendingCall]:
    """Send calls one after the other; each gets the event of its name, if it gets one."""
    calls = [world.call(name, ord(name)) for name in names]
    for call in calls:
        await session.send(call)
        await wait_all_tasks_blocked()
    return calls


def several(driver: OnStream, **limits: int | None) -> AbstractAsyncContextManager[World]:
    """Return a world for several calls on one stream."""
    return a_world(driver, **({"in_flight": 9, "requests": 9} | limits))
