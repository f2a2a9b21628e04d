"""How a session sends its calls: what they wait for first, and what is left if the wait ends.

The sessions are real; the server is a driver whose responses a test plays.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triojob import (
    ConnectionLost,
    Limits,
    Status,
    StatusUpdate,
    Timeouts,
    TriojobError,
    UnexpectedResponse,
)
from triojob._core.logs import current_call
from triojob._secrets import Secrets
from triojob.gradio.protocol.base import CallDriver, CallRequest, Conversation, StreamDriver
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

    def feed(self, message: dict[str, Any]) -> None:
        self.started = True
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
        self._messages, self._received = trio.open_memory_channel[Any](math.inf)

    def end(self) -> None:
        self._messages.close()

    def say(self, kind: str, event_id: str) -> None:
        self._messages.send_nowait({"msg": kind, "event_id": event_id})

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
        yield self._received

    async def cancel(
        self, session_hash: str, call: CallRequest, event_id: str, *, alone: bool
    ) -> None:
        self.told.append(event_id)

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
        in_flight: int = 1,
        requests: int = 1,
        streams: int = 1,
    ) -> None:
        async def revalidate(_connection: int | None) -> None:
            """The app is the same."""

        self.driver = driver
        self.http = SimpleNamespace(
            requests=trio.CapacityLimiter(requests),
            streams=trio.CapacityLimiter(streams),
            secrets=Secrets(),
            close_idle=lambda: None,
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

    def call(self, name: str = "a", job_id: int = 1) -> PendingCall:
        return PendingCall(
            job_id,
            self.info,
            CallRequest("/f", 3, "/f", name),
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
        function = session.functions[3] = FunctionCalls(math.inf)
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
async def a_world(driver: StreamDriver | CallDriver, **limits: int) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery, driver, **limits)
        nursery.cancel_scope.cancel()


# --- The first time ---


WAITS = [
    *((OnStream, what) for what in ("slot", "stream", "request", "cancel request")),
    *((OnConnections, what) for what in ("slot", "stream")),
]


@pytest.mark.parametrize("kind, what", WAITS)
@pytest.mark.parametrize("how", ["sent", "job", "session", "session at that moment"])
async def test_waiting_call_is_sent_or_leaves_nothing(autojump_clock, kind, what, how):
    async with a_world(driver := kind()) as world, trio.open_nursery() as nursery:
        session = Session(world.registry, one_at_a_time=False)
        release = await world.occupy(session, what)
        # One that has its slot already needs no other one.
        call = world.call() if what in ("slot", "request") else await world.with_slot()
        results: list[bool] = []

        async def send() -> None:
            results.append(await session.send(call))

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert driver.sent == []
        if how == "job":
            nursery.cancel_scope.cancel()
        elif how == "session":
            session.end()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            release()
            if how == "session at that moment":
                session.end()
            await wait_all_tasks_blocked()
        if how == "sent":
            assert (driver.sent, results) == (["a"], [True])
            assert driver.logged == [(1, "/f")]
        else:
            assert (driver.sent, results) == ([], [False] if "session" in how else [])
            world.assert_nothing_held(session)
            with trio.fail_after(1, shield=True):
                await Session(world.registry).send(world.call("b", 2))
                await wait_all_tasks_blocked()
            assert driver.sent == ["b"]


async def test_call_with_free_limits_waits_for_nothing(autojump_clock):
    async with a_world(OnStream(), streams=100) as world:
        call = await world.with_slot()
        with pytest.raises(StopIteration) as returned:
            Session(world.registry, reusable=True).send(call).send(None)
        assert returned.value.value is True


async def test_cancel_request_meanwhile_keeps_call_waiting(autojump_clock):
    """The call gets the request that it waited for, and leaves it to others."""
    async with a_world(driver := OnStream()) as world, trio.open_nursery() as nursery:
        session = Session(world.registry)
        release_request = await world.occupy(session, "request")
        nursery.start_soon(session.send, world.call())
        await wait_all_tasks_blocked()
        function = session.functions[3]
        function.cancelling = True
        release_request()
        await wait_all_tasks_blocked()
        assert driver.sent == []
        assert world.http.requests.available_tokens == 1
        function.cancelling = False
        function.changed.unpark_all()
        await wait_all_tasks_blocked()
        assert driver.sent == ["a"]


async def test_ended_call_is_freed_while_stream_stays(autojump_clock):
    """The task that sent it reads the stream, for other calls."""
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        call = world.call()
        request = weakref.ref(call.request)
        await session.send(call)
        await session.send(world.call("b", 2))
        await wait_all_tasks_blocked()
        driver.say("process_completed", "a")
        del call
        await wait_all_tasks_blocked()
        assert request() is None
        assert session.stream.held


# --- Again ---


@pytest.mark.parametrize("abandoned", [False, True])
async def test_refused_call_waits_without_holding_anything(autojump_clock, abandoned):
    async with a_world(driver := OnStream()) as world:
        session, call = Session(world.registry), world.call()
        driver.errors["a"] = BUSY
        await session.send(call)
        await wait_all_tasks_blocked()
        assert world.http.requests.borrowed_tokens == world.http.streams.borrowed_tokens == 0
        assert world.registry.windows()["/f"].in_flight == 0
        release = await world.occupy(session, "stream")
        await trio.sleep(10)
        assert driver.sent == ["a"]
        if abandoned:
            call.abandon()
            await wait_all_tasks_blocked()
        release()
        await wait_all_tasks_blocked()
        if abandoned:
            assert driver.sent == ["a"]
            world.assert_nothing_held(session)
        else:
            assert driver.sent == ["a", "a"]
            assert world.http.streams.borrowed_tokens == 1
            assert world.registry.windows()["/f"].in_flight == 1


async def test_dequeued_call_rejoins_now_unless_abandoned(autojump_clock):
    async with a_world(driver := OnStream()) as world:
        session, call = Session(world.registry), world.call()
        await session.send(call)
        await wait_all_tasks_blocked()
        now = trio.current_time()
        for abandoned in (False, True):
            session.canceller.on_dequeued(call, "a")
            session.joiner.start(call, driver)
            if abandoned:
                call.abandon()
            await wait_all_tasks_blocked()
            assert driver.sent == ["a", "a"]
        assert trio.current_time() == now
        driver.end()
        await wait_all_tasks_blocked()
        world.assert_nothing_held(session)


async def test_lost_call_is_found_once_other_is_refused(autojump_clock):
    """While a join is in flight, the stream is not opened to find the lost one."""
    async with a_world(driver := OnStream(), in_flight=2, requests=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.gates["a"] = trio.Event()
        driver.errors |= {"a": BUSY, "b": ConnectionLost("/f")}
        for number, name in enumerate("ab"):
            await session.send(world.call(name, number))
            await wait_all_tasks_blocked()
        driver.say("estimation", "b")
        await wait_all_tasks_blocked()
        assert driver.told == []
        driver.gates["a"].set()
        await wait_all_tasks_blocked()
        assert driver.told == ["b"]


async def test_stream_with_unnamed_event_is_closed(autojump_clock):
    """The server keeps it open for the event of the lost call, which nobody waits for."""
    async with a_world(driver := OnStream(), in_flight=2) as world:
        session = Session(world.registry, one_at_a_time=False)
        driver.errors["b"] = ConnectionLost("/f")
        for number, name in enumerate("ab"):
            await session.send(world.call(name, number))
            await wait_all_tasks_blocked()
        await trio.sleep(100)
        assert session.stream.held
        driver.say("process_completed", "a")
        await trio.sleep(10)
        world.assert_nothing_held(session)


# --- On a connection of its own ---


@pytest.mark.parametrize("announced", [False, True])
async def test_call_runs_unless_start_is_announced(autojump_clock, announced):
    async with a_world(OnConnections(announces_start=announced)) as world:
        await Session(world.registry).send(world.call())
        await wait_all_tasks_blocked()
        assert world.registry.windows()["/f"].running == (not announced)


@pytest.mark.parametrize("begun", ["not", "named", "started"])
async def test_only_refused_connections_are_tried_again(autojump_clock, begun):
    """The server may run what has a name, and what it has said something of."""
    driver = OnConnections()

    def refuse_first(conversation: Conversation) -> None:
        if begun == "named":
            conversation.event_id = "e1"
        elif begun == "started":
            conversation.deliver({"msg": "process_starts"})
        if len(driver.sent) == 1:
            raise BUSY
        conversation.deliver({"msg": "process_completed"})

    driver.script = refuse_first
    async with a_world(driver) as world:
        session, call = Session(world.registry), world.call()
        translator = cast("Translator", call.translator)
        await session.send(call)
        await trio.sleep(6)
        assert driver.sent == ["a"]
        assert translator.codes == ([Status.STARTING] if begun == "not" else [])
        await trio.sleep(2)
        assert len(driver.sent) == (2 if begun == "not" else 1)
        assert translator.error is (None if begun == "not" else BUSY)
        world.assert_nothing_held(session)
