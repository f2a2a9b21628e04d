"""The state machine: the rules by which Hypothesis makes up programs, and the check after each."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from qa.model import checks
from qa.model.app import ENDPOINTS, LOCAL, Plan
from qa.model.choices import (
    DAMAGE,
    NUISANCES,
    faults_of,
    histories,
    limits,
    pick,
    picks,
    plans,
    seconds,
)
from qa.model.ending import wind_up
from qa.model.stepwise import Stepwise
from qa.model.world import Call, PlainCall, Reader, Scope, World
from tests.servers.faults import Fault
from triojob import Timeouts
from triojob._core.call import Batch


class Model(RuleBasedStateMachine):
    """Groups, jobs, cancellations, timeouts, sessions, deaths and slow readers, in any order.

    A rule chooses by number among what there is, the newest first: so each step does something.
    """

    counts: ClassVar[Counter[str]] = Counter()
    """How many steps of each kind there were, in all runs together."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.run: Stepwise | None = None
        self.ending = "wait"

    def step(self, kind: str, action: Any) -> None:
        """Do something as a step of the run, and check what can be seen then."""
        self.counts[kind] += 1
        world = self.world

        async def step() -> None:
            result = action()
            if hasattr(result, "__await__"):
                await result
            checks.check_step(world)

        assert self.run is not None
        self.run.do(step)

    @initialize(
        seed=st.integers(0, 1000),
        ending=st.sampled_from(["wait", "cancel", "leave", "raise"]),
        eager=st.booleans(),
        streams=st.sampled_from([1, 2, 5]),
    )
    def begin(self, seed: int, ending: str, eager: bool, streams: int) -> None:
        self.ending = ending
        self.world = world = World()
        self.run = Stepwise(world.around(), seed=seed)
        world.server.queue.eager = eager
        self._open("client", world.root, streams=streams, timeouts=Timeouts(read=30))

    # --- Scopes ---

    def usable(self, *kinds: str) -> list[Scope]:
        """Return the scopes that are open, newest first."""
        return [s for s in reversed(self.world.scopes) if s.usable and s.kind in kinds]

    @precondition(lambda self: len(self.usable("client")) < 2)
    @rule(
        place=picks,
        streams=st.sampled_from([1, 2, 5]),
        in_flight=st.sampled_from([None, None, 1, 3]),
        limit=limits,
        history=histories,
        silence=st.sampled_from([20, 60]),
    )
    def open_client(self, place: int, silence: float, streams: int, **options: Any) -> None:
        groups = [s for s in self.usable("group") if all(a.kind != "client" for a in s.chain)]
        around = pick([self.world.root, *groups], place)
        timeouts = Timeouts(read=30, max_stream_idle=silence)
        self._open("client", around, streams=streams, timeouts=timeouts, **options)

    @precondition(lambda self: self.usable("client"))
    @rule(place=picks, limit=limits, history=histories)
    def open_session(self, place: int, **options: Any) -> None:
        inside = [
            s
            for s in self.usable("client", "session", "group")
            if any(around.kind == "client" for around in s.chain)
        ]
        self._open("session", pick(inside, place), **options)

    @rule(
        place=picks,
        limit=limits,
        history=histories,
        fail_fast=st.sampled_from([False, False, True]),
    )
    def open_group(self, place: int, **options: Any) -> None:
        around = pick([*self.usable("client", "session", "group"), self.world.root], place)
        self._open("group", around, **options)

    def _open(self, kind: str, around: Scope, **options: Any) -> None:
        if not around.ending:
            scope = Scope(self.world.new_name(kind), kind, around, options)
            self.step(f"open a {kind}", lambda: self.world.open_scope(scope))

    @precondition(lambda self: self.usable("client", "session", "group"))
    @rule(place=picks, how=st.sampled_from(["leave", "leave", "raise", "cancel", "cancel around"]))
    def end_scope(self, place: int, how: str) -> None:
        scope, world = pick(self.usable("group", "session", "client"), place), self.world

        def action() -> None:
            if how.startswith("cancel"):
                world.cancel(scope, its_own=how == "cancel")
            else:
                world.leave(scope, raising=how == "raise")

        self.step(f"{how}: {scope.kind}", action)

    # --- Calls ---

    @precondition(lambda self: self.usable("client", "session"))
    @rule(through=picks, owner=picks, endpoint=st.sampled_from(ENDPOINTS), plan=plans)
    def submit(self, through: int, owner: int, endpoint: str, plan: Plan) -> None:
        surface = pick(self.usable("session", "client"), through)
        scope = pick([surface, *self.usable("group")], owner)
        self.step("submit a call", lambda: self.world.submit(scope, surface, endpoint, plan))

    @precondition(lambda self: self.usable("client", "session"))
    @rule(
        through=picks,
        endpoint=st.sampled_from(ENDPOINTS),
        plans=st.lists(plans, min_size=2, max_size=4),
        shared=st.booleans(),
    )
    def submit_several(self, through: int, endpoint: str, plans: list[Plan], shared: bool) -> None:
        surface = pick(self.usable("session", "client"), through)
        batch = Batch() if shared else None
        for plan in plans:
            submit = partial(self.world.submit, surface, surface, endpoint, plan, batch)
            self.step("submit a call of a batch" if shared else "submit a call", submit)
        if batch is not None:
            self.step("end a batch", batch.end)

    @precondition(lambda self: self.usable("group"))
    @rule(place=picks, function=st.sampled_from(LOCAL), plan=plans)
    def submit_function(self, place: int, function: str, plan: Plan) -> None:
        group = pick(self.usable("group"), place)
        self.step("submit a function", lambda: self.world.submit(group, None, function, plan))

    @precondition(lambda self: self.usable("client", "session"))
    @rule(through=picks, endpoint=st.sampled_from(ENDPOINTS), plan=plans, bound=seconds)
    def call_plainly(self, through: int, endpoint: str, plan: Plan, bound: float) -> None:
        surface, world = pick(self.usable("session", "client"), through), self.world
        if surface.ending:
            return
        call = PlainCall(
            world.new_name("plain"),
            endpoint,
            plan,
            surface,
            harmed=world.disturbed,
            crowded=world.server.app.max_queue_size is not None,
            bounded=bound > 0 or plan.end == "hang",
        )

        def action() -> None:
            if call.bounded:
                call.scope.deadline = trio.current_time() + bound
            world.plain_calls.append(call)
            world.start(world.call_plainly, call)

        self.step("call plainly", action)

    def some_call(self, place: int) -> Call:
        # Those that go on come first.
        calls = sorted(self.world.calls, key=lambda call: (call.job.done, -call.job.id))
        return pick(calls, place)

    @precondition(lambda self: self.world.calls)
    @rule(place=picks)
    def cancel_call(self, place: int) -> None:
        call = self.some_call(place)
        call.cancelled = call.cancelled or not call.job.done
        self.step("cancel a job", lambda: call.job.cancel("enough"))

    @precondition(lambda self: any(call.job.done for call in self.world.calls))
    @rule(place=picks)
    def look(self, place: int) -> None:
        call = pick([call for call in reversed(self.world.calls) if call.job.done], place)

        def action() -> None:
            call.job.exception()
            call.note_seen()

        self.step("look at an end", action)

    @precondition(lambda self: self.world.calls)
    @rule(
        place=picks,
        how=st.sampled_from(["outputs", "updates", "result", "wait"]),
        lag=st.sampled_from([0, 0, 0.001, 1, 3]),
        timeout=st.none() | seconds,
    )
    def read(self, place: int, how: str, lag: float, timeout: float | None) -> None:
        world, reader = self.world, Reader(self.some_call(place), how)
        world.readers.append(reader)
        slowly = " slowly" if lag and how in ("outputs", "updates") else ""
        self.step(f"read {how}{slowly}", lambda: world.start(world.read, reader, lag, timeout))

    @precondition(lambda self: any(not reader.end for reader in self.world.readers))
    @rule(place=picks)
    def cancel_reader(self, place: int) -> None:
        readers = [reader for reader in reversed(self.world.readers) if not reader.end]
        self.step("cancel a reader", pick(readers, place).scope.cancel)

    # --- Time ---

    @rule(ticks=st.integers(1, 12))
    def tick(self, ticks: int) -> None:
        async def action() -> None:
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()

        self.step("tick", action)

    @rule()
    def settle(self) -> None:
        self.step("settle", trio.testing.wait_all_tasks_blocked)

    @rule(time=seconds)
    def sleep(self, time: float) -> None:
        async def action() -> None:
            await trio.sleep(time)
            if time >= 2:
                self.world.uneasy = False

        self.step("sleep", action)

    # --- Faults ---

    @rule(fault=faults_of(DAMAGE), times=st.integers(1, 2))
    def damage(self, fault: tuple[tuple[str, str], Fault], times: int) -> None:
        self.world.harm()
        self._fault("damage", fault, times)

    @rule(fault=faults_of(NUISANCES), times=st.integers(1, 3))
    def nuisance(self, fault: tuple[tuple[str, str], Fault], times: int) -> None:
        self._fault("nuisance", fault, times)

    def _fault(self, kind: str, fault: tuple[tuple[str, str], Fault], times: int) -> None:
        (method, path), what = fault
        if path in ("/cancel", "/queue/data"):
            self.world.all_is_told = False
        name = f"{kind}: {type(what).__name__} of {path}"
        self.step(name, lambda: self.world.server.fault(method, path, what, times=times))

    @rule(how=st.sampled_from(["cut", "reset", "die", "restart"]))
    def strike(self, how: str) -> None:
        world, server = self.world, self.world.server

        def action() -> None:
            world.harm()
            world.all_is_told = False
            if how == "die":
                server.die()
            elif how == "restart":
                world.restarts += 1
                server.restart()
            else:
                server.kill_connections(reset=how == "reset")

        self.step(f"server: {how}", action)

    @rule(deaf=st.booleans(), size=st.sampled_from([None, 0, 1, 2]))
    def moods(self, deaf: bool, size: int | None) -> None:
        """Make the server deaf to cancellations, or bound its queue, or neither."""
        world, server = self.world, self.world.server

        def action() -> None:
            server.queue.deaf_to_cancel, server.app.max_queue_size = deaf, size
            if deaf:
                world.all_is_told = False
            if size is not None:
                for call in (*world.calls, *world.plain_calls):
                    call.crowded = True

        self.step(f"server: {'deaf' if deaf else 'hears'}, queue of {size}", action)

    @rule()
    def relieve(self) -> None:
        """End all faults there are."""
        world, server = self.world, self.world.server

        def action() -> None:
            server.clear_faults()
            server.queue.deaf_to_cancel, server.app.max_queue_size = False, None
            if server.listener.refusing:
                world.harm()
                world.restarts += 1
                server.restart()

        self.step("relieve", action)

    # --- The end ---

    def teardown(self) -> None:
        run, self.run = self.run, None
        if run is None:
            return
        try:
            run.do(lambda: wind_up(self.world, self.ending))
        except BaseException:
            # What hangs must not hang here, too.
            with suppress(BaseException):
                run.end()
            raise
        run.end()
        self.counts[f"end by {self.ending}"] += 1
