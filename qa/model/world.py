"""What the model holds: an app, scopes one in another, calls, and those who wait for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio
import trio.testing

from qa.model.app import Ledger, Plan, encode, generate_here, make_app, run_here
from tests.servers.scripted import ScriptedServer, open_server
from tests.support.cancelling import new_client
from tests.support.jobs import BaseExceptionGroup, tasks_living
from triojob import (
    Client,
    ClientClosed,
    ClientSession,
    GroupClosed,
    Job,
    JobGroup,
    JobTimeout,
    TriojobError,
)
from triojob._core.call import Batch

Thing = Client | ClientSession | JobGroup


class BodyError(Exception):
    """What the body of a scope raises."""


@dataclass(eq=False)
class Scope:
    """A client, a session or a group, in the body of another one or of none."""

    name: str
    kind: str
    """``"client"``, ``"session"``, ``"group"`` or ``"world"``."""
    around: Scope | None
    options: dict[str, Any] = field(default_factory=dict)
    thing: Thing | None = None
    """Once it is open."""
    cancel_scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    leave: trio.Event = field(default_factory=trio.Event)
    nursery: trio.Nursery | None = None
    """Of the scopes in its body."""
    ending: bool = False
    """Whether anything has ended its body, or has told it to end."""
    struck: bool = False
    """Whether its jobs may be cancelled."""
    body_raises: bool = False
    gone: trio.Event = field(default_factory=trio.Event)
    raised: BaseException | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def fail_fast(self) -> bool:
        return bool(self.options.get("fail_fast"))

    @property
    def over(self) -> bool:
        return self.gone.is_set()

    @property
    def usable(self) -> bool:
        return self.thing is not None and not self.over

    @property
    def chain(self) -> list[Scope]:
        """It, and all those around it."""
        return [self] if self.around is None else [self, *self.around.chain]

    @property
    def client(self) -> Client:
        (client,) = (s.thing for s in self.chain if isinstance(s.thing, Client))
        return client


@dataclass(eq=False)
class Call:
    """One call as a job, and all that its job has said."""

    token: str
    endpoint: str
    plan: Plan
    scope: Scope
    """Whose job it is."""
    surface: Scope | None
    """Through which it goes to the app; None for a function of this side."""
    job: Job[Any]
    heard: list[Any] = field(default_factory=list)
    """Its outputs, as a listener got them."""
    codes: list[Any] = field(default_factory=list)
    ends: int = 0
    cancelled: bool = False
    """Whether somebody called `Job.cancel`."""
    harmed: bool = False
    """Whether a fault may have struck it."""
    crowded: bool = False
    """Whether the app's queue may have been full."""
    seen: bool = False
    """Whether somebody was given its failure."""
    seen_in_time: bool = False
    """Whether that was before its scope began to end."""
    ended_at: tuple[Any, ...] | None = None
    """What was to be seen of it when it had ended."""

    def __repr__(self) -> str:
        return f"{self.token} {self.endpoint} {self.plan}"

    def note_seen(self) -> None:
        self.seen = True
        thing = self.scope.thing
        closing = thing.closed if isinstance(thing, JobGroup) else self.scope.ending
        self.seen_in_time = self.seen_in_time or not closing


@dataclass(eq=False)
class PlainCall:
    """A call that is no job."""

    token: str
    endpoint: str
    plan: Plan
    surface: Scope
    harmed: bool
    crowded: bool
    bounded: bool
    """Whether its scope may cancel it."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    end: tuple[str, Any] | None = None


@dataclass(eq=False)
class Reader:
    """Somebody who waits for a job, or follows it."""

    call: Call
    how: str
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    dropped: int = 0
    got: list[Any] = field(default_factory=list)
    end: str = ""


class World:
    """Everything there is; `around` is its lifetime."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.server: ScriptedServer
        self.root = Scope("world", "world", None)
        self.scopes: list[Scope] = []
        self.calls: list[Call] = []
        self.plain_calls: list[PlainCall] = []
        self.readers: list[Reader] = []
        self.uneasy = False
        """Whether something was broken just now, which the client may find out later."""
        self.all_is_told = True
        """Whether nothing has kept cancel requests and event streams from their ways."""
        self.restarts = 0
        self.tasks_before = 0
        self._count = 0

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        async with (
            open_server(make_app(self.ledger), memory=True) as self.server,
            trio.open_nursery() as self.root.nursery,
        ):
            self.tasks_before = self.tasks_of_ours()
            self.root.thing = JobGroup()  # never entered: the world has no group of its own
            yield
            self.root.nursery.cancel_scope.cancel()

    def tasks_of_ours(self) -> int:
        return tasks_living() - len(self.server.listener.nursery.child_tasks)

    def new_name(self, kind: str) -> str:
        self._count += 1
        return f"{kind} {self._count}"

    # --- Harm ---

    @property
    def disturbed(self) -> bool:
        """Whether a call that is made now may meet with a fault."""
        rules = any(rule.left >= 1 for rule in self.server._rules)
        return self.uneasy or rules or self.server.listener.refusing or self.server.queue.stopped

    def harm(self) -> None:
        """Note that a fault may strike all that is under way."""
        self.uneasy = True
        for call in (*self.calls, *self.plain_calls):
            if isinstance(call, PlainCall) or not call.job.done:
                call.harmed = True

    # --- Scopes ---

    async def open_scope(self, scope: Scope) -> None:
        """Open a scope in the body of the one around it, and wait until nothing moves."""
        around = scope.around
        assert around is not None
        assert around.nursery is not None
        try:
            around.nursery.start_soon(self._hold, scope, name=scope.name)
        except RuntimeError:
            # Its body is over.
            assert around.ending or any(map(self.is_struck, around.chain))
            return
        self.scopes.append(scope)
        await trio.testing.wait_all_tasks_blocked()

    def _make(self, scope: Scope) -> AbstractAsyncContextManager[Thing]:
        if scope.kind == "client":
            return new_client(self.server, **scope.options)
        if scope.kind == "session":
            return scope.client.session(**scope.options)
        return JobGroup(**scope.options)

    async def _hold(self, scope: Scope) -> None:
        try:
            with scope.cancel_scope:
                async with (
                    self._make(scope) as scope.thing,
                    trio.open_nursery() as scope.nursery,
                ):
                    await scope.leave.wait()
                    if scope.body_raises:
                        raise BodyError(scope.name)
        except (Exception, BaseExceptionGroup) as error:
            scope.raised = error
            if not isinstance(error, Exception):
                raise  # there is a cancellation in it, of a scope around this one
        finally:
            scope.gone.set()
            self.note_ending(scope)

    def note_ending(self, scope: Scope, *, struck: bool = False) -> None:
        """Note that a scope and those in it are ending; with ``struck``, by a cancellation."""
        for inner in self.inside(scope):
            inner.ending = True
            inner.struck = inner.struck or struck

    def inside(self, scope: Scope) -> list[Scope]:
        """Return a scope and those in its body, innermost first."""
        return [inner for inner in reversed(self.scopes) if scope in inner.chain]

    def leave(self, scope: Scope, *, raising: bool = False) -> None:
        """Let the bodies of a scope, and of those in it, come to their ends."""
        if raising and not scope.leave.is_set():
            scope.body_raises = True
            self.note_ending(scope, struck=True)
        for inner in self.inside(scope):
            self.note_ending(inner)
            inner.leave.set()

    def cancel(self, scope: Scope, *, its_own: bool) -> None:
        """Cancel a scope, by the cancel scope that it has itself or by one around it."""
        self.note_ending(scope, struck=True)
        thing = scope.thing
        if its_own and isinstance(thing, (Client, JobGroup)):
            thing.cancel_scope.cancel()
        else:
            scope.cancel_scope.cancel()

    # --- Calls ---

    def submit(
        self,
        scope: Scope,
        surface: Scope | None,
        endpoint: str,
        plan: Plan,
        batch: Batch | None = None,
    ) -> Call | None:
        """Make a call as a job of a scope, and maybe of a batch; return None if that is over."""
        token = self.new_name("call")
        thing = scope.thing
        assert thing is not None
        try:
            if surface is None:
                assert isinstance(thing, JobGroup)
                function: Callable[..., Any] = run_here if endpoint == "local" else generate_here
                job = thing.submit(function, self.ledger, token, plan)
            elif isinstance(thing, JobGroup):
                assert isinstance(surface.thing, (Client, ClientSession))
                job = thing.submit(surface.thing.endpoint(endpoint), encode(token, plan))
            else:
                bound = thing.endpoint(endpoint).bind((encode(token, plan),), {}, batch=batch)
                job = thing._own_group()._start(bound)
        except (ClientClosed, GroupClosed):
            closed = scope.ending or (surface is not None and surface.ending)
            assert closed or any(map(self.is_struck, scope.chain)), f"{scope} is not closed"
            return None
        call = Call(token, endpoint, plan, scope, surface, job)
        call.harmed = surface is not None and self.disturbed
        call.crowded = self.server.app.max_queue_size is not None
        job.on_output(call.heard.append)
        job.on_status(lambda status: call.codes.append(status.code))
        job.on_result(partial(self._ended, call))
        self.calls.append(call)
        return call

    @staticmethod
    def _ended(call: Call, job: Job[Any]) -> None:
        assert job is call.job
        call.ends += 1

    def is_struck(self, scope: Scope) -> bool:
        """Tell whether what is in a scope may be cancelled: by somebody, or by a failure."""
        failures = (failed(call) for call in self.calls if call.scope is scope)
        return scope.struck or (scope.fail_fast and any(failures))

    def may_be_cancelled(self, call: Call | PlainCall) -> bool:
        """Tell whether there is a reason for a call to end as cancelled."""
        surface = call.surface
        around = [] if surface is None else surface.chain
        if isinstance(call, Call):
            if call.cancelled:
                return True
            # What rides on a session or client that is left by others than its own jobs.
            if any(s.ending and s not in call.scope.chain for s in around):
                return True
            around = [*around, *call.scope.chain]
        elif any(s.ending for s in around):
            return True
        return any(map(self.is_struck, around))

    # --- Those who wait ---

    def start(self, task: Callable[..., Any], *args: Any) -> None:
        """Start a task of the user's own."""
        assert self.root.nursery is not None
        self.root.nursery.start_soon(task, *args)

    async def read(self, reader: Reader, lag: float, timeout: float | None) -> None:
        """Follow a job to its end, slowly; note what was seen."""
        call, job = reader.call, reader.call.job
        reader.end = "cancelled"
        with reader.scope:
            try:
                if reader.how == "result":
                    reader.got.append(await job.result(timeout))
                elif reader.how == "wait":
                    await job.wait()
                elif reader.how == "outputs":
                    outputs = aiter(job)
                    async for output in outputs:
                        reader.got.append(output)
                        reader.dropped = outputs.dropped
                        await trio.sleep(lag)
                else:
                    updates = job.updates()
                    async for update in updates:
                        reader.got.append(update)
                        reader.dropped = updates.dropped
                        await trio.sleep(lag)
                reader.end = "end"
            except JobTimeout:
                reader.end = "timeout"
            except Exception as error:  # noqa: BLE001 - whatever it is, it must be the job's own
                reader.end = "raised"
                assert error is job.exception()  # noqa: PT017 - it is the job's own, whatever it is
                call.note_seen()

    async def call_plainly(self, call: PlainCall) -> None:
        """Make a call that is no job; note how it ended."""
        thing = call.surface.thing
        assert isinstance(thing, (Client, ClientSession))
        with call.scope:
            try:
                value = await thing.predict(encode(call.token, call.plan), api_name=call.endpoint)
            except TriojobError as error:
                call.end = ("error", error)
            else:
                call.end = ("value", value)
        if call.end is None:
            call.end = ("cancelled", None)


def failed(call: Call) -> bool:
    """Tell, without looking at it, whether a job has ended with a failure."""
    return call.job.done and not call.job.cancelled and call.job.status().success is False
