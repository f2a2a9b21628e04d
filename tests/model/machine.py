"""The state machine: the rules by which Hypothesis makes up programs, and the check after each."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from tests.model import checks
from tests.model.app import ENDPOINTS, LOCAL, Plan
from tests.model.stepwise import Stepwise
from tests.model.world import Call, PlainCall, Reader, Scope, World
from tests.servers.faults import Answer, Cut, Delay, Drip, EndAfter, Fault, Lose, Silence, Split, Stall
from triojob import Timeouts

LONG = 100_000
"""Seconds on the mock clock in which all ends; only what hangs takes longer."""

seconds = st.sampled_from([0, 0.001, 0.5, 1, 1, 2, 5, 20])
plans = st.builds(
    Plan,
    st.lists(st.sampled_from(["yield", "yield", "log", "progress", 0, 0.001, 1, 1, 3])).map(tuple),
    st.sampled_from(["return", "return", "return another", "fail", "hang"]),
)
histories = st.sampled_from([None, None, 0, 1, 2])
limits = st.sampled_from([None, None, 1, 2])
sizes = st.integers(0, 1500)

FULL = {"detail": "Queue is full. Max size is 1 and size is 1."}
DAMAGE: dict[tuple[str, str], st.SearchStrategy[Fault]] = {
    ("POST", "/queue/join"): st.builds(Lose, st.booleans(), st.booleans())
    | st.builds(Silence, st.booleans())
    | st.sampled_from([Answer(503, FULL), Answer(500, b"no"), Answer(429), Answer(200, b"{")])
    | st.builds(Cut, st.integers(0, 40)),
    ("GET", "/queue/data"): st.builds(Cut, sizes, st.booleans())
    | st.builds(Stall, sizes)
    | st.builds(EndAfter, st.integers(0, 6), st.booleans())
    | st.builds(Lose, st.booleans(), st.booleans())
    | st.sampled_from([Answer(404, b""), Answer(502, b"proxy")]),
    ("GET", "/config"): st.just(Answer(500, b"no")),
    ("GET", "/app_id"): st.just(Answer(500, b"no")),
}
"""Faults that may fail calls."""
NUISANCES: dict[tuple[str, str], st.SearchStrategy[Fault]] = {
    ("POST", "/cancel"): st.builds(Lose, st.booleans(), st.booleans())
    | st.builds(Silence, st.booleans())
    | st.builds(Delay, st.integers(0, 7), st.booleans())
    | st.just(Answer(500, b"no")),
    ("POST", "/queue/join"): st.builds(Delay, st.integers(0, 3), st.booleans()),
    ("GET", "/queue/data"): st.builds(Delay, st.integers(0, 3), st.booleans())
    | st.builds(Split, st.integers(1, 60))
    | st.builds(Drip, st.integers(20, 400), st.sampled_from([0.001, 0.1, 1])),
}
"""Faults that may fail none."""


def faults_of(kinds: dict[tuple[str, str], st.SearchStrategy[Fault]]) -> Any:
    return st.one_of(
        [st.tuples(st.just(place), faults) for place, faults in kinds.items()]
    )


class Model(RuleBasedStateMachine):
    """Groups, jobs, cancellations, timeouts, sessions, deaths and slow readers, in any order."""

    counts: Counter[str] = Counter()
    """How many steps of each kind there were, in all runs together."""

    scopes = Bundle("scopes")
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.run: Stepwise | None = None
        self.ending = "wait"

    def step(self, kind: str, action: Any) -> Any:
        """Do something as a step of the run, and check what can be seen then."""
        self.counts[kind] += 1
        world = self.world

        async def step() -> Any:
            result = action()
            if hasattr(result, "__await__"):
                result = await result
            checks.check_step(world)
            return result

        assert self.run is not None
        return self.run.do(step)

    @initialize(
        target=scopes,
        seed=st.integers(0, 1000),
        ending=st.sampled_from(["wait", "cancel", "leave", "raise"]),
        eager=st.booleans(),
    )
    def begin(self, seed: int, ending: str, eager: bool) -> Scope:
        self.ending = ending
        self.world = World()
        self.run = Stepwise(self.world.around(), seed=seed)
        self.world.server.eager = eager
        return self.world.root

    # --- Scopes ---

    @rule(
        target=scopes,
        around=scopes,
        streams=st.sampled_from([1, 2, 5]),
        limit=limits,
        history=histories,
        silence=st.sampled_from([20, 60]),
    )
    def open_client(self, around: Scope, silence: float, streams: int, **options: Any) -> Scope:
        timeouts = Timeouts(response=30, silence=silence)
        options |= {"max_streams": streams, "timeouts": timeouts}
        world = self.world
        top = world.root if any(s.kind == "client" for s in around.chain) else around
        return self._open(Scope(world.new_name("client"), "client", top, options))

    @rule(target=scopes, around=scopes, limit=limits, history=histories)
    def open_session(self, around: Scope, **options: Any) -> Scope:
        if not any(scope.kind == "client" for scope in around.chain):
            return around
        return self._open(Scope(self.world.new_name("session"), "session", around, options))

    @rule(
        target=scopes,
        around=scopes,
        limit=limits,
        history=histories,
        fail_fast=st.sampled_from([False, False, True]),
    )
    def open_group(self, around: Scope, **options: Any) -> Scope:
        return self._open(Scope(self.world.new_name("group"), "group", around, options))

    def _open(self, scope: Scope) -> Scope:
        around = scope.around
        assert around is not None
        if not around.usable or around.ending:
            return self.world.root
        self.step(f"open a {scope.kind}", lambda: self.world.open_scope(scope))
        return scope

    @rule(scope=scopes, raising=st.sampled_from([False, False, True]))
    def leave(self, scope: Scope, raising: bool) -> None:
        if scope.usable and scope.kind != "world":
            kind = "raise in a body" if raising else "leave"
            self.step(kind, lambda: self.world.leave(scope, raising=raising))

    @rule(scope=scopes, its_own=st.booleans())
    def cancel_scope(self, scope: Scope, its_own: bool) -> None:
        if scope.usable and scope.kind != "world":
            self.step(
                f"cancel a {scope.kind}", lambda: self.world.cancel(scope, its_own=its_own)
            )

    # --- Calls ---

    @rule(
        target=calls,
        scope=scopes,
        through=scopes,
        endpoint=st.sampled_from(ENDPOINTS),
        plan=plans,
    )
    def submit(self, scope: Scope, through: Scope, endpoint: str, plan: Plan) -> Any:
        surfaces = [s for s in (*through.chain, *scope.chain) if s.kind in ("client", "session")]
        surface = surfaces[0] if surfaces else None
        if scope.kind != "group":
            scope = surface if surface is not None else scope
        if not scope.usable or surface is None or not surface.usable:
            return None
        return self.step("submit a call", lambda: self.world.submit(scope, surface, endpoint, plan))

    @rule(target=calls, scope=scopes, function=st.sampled_from(LOCAL), plan=plans)
    def submit_local(self, scope: Scope, function: str, plan: Plan) -> Any:
        groups = [s for s in scope.chain if s.kind == "group" and s.usable]
        if not groups:
            return None
        return self.step(
            "submit a function", lambda: self.world.submit(groups[0], None, function, plan)
        )

    @rule(through=scopes, endpoint=st.sampled_from(ENDPOINTS), plan=plans, bound=seconds)
    def call_plainly(self, through: Scope, endpoint: str, plan: Plan, bound: float) -> None:
        surfaces = [s for s in through.chain if s.kind in ("client", "session")]
        if not surfaces or not surfaces[0].usable or surfaces[0].ending:
            return
        world = self.world
        call = PlainCall(
            world.new_name("plain"),
            endpoint,
            plan,
            surfaces[0],
            world.disturbed,
            world.server.app.max_queue_size is not None,
            trio.CancelScope(),
            bounded=bound > 0 or plan.end == "hang",
        )

        def action() -> None:
            if call.bounded:
                call.scope.deadline = trio.current_time() + bound
            world.plain_calls.append(call)
            world.start(world.call_plainly, call)

        self.step("call plainly", action)

    @rule(call=calls)
    def cancel_call(self, call: Call | None) -> None:
        if call is not None:
            call.cancelled = call.cancelled or not call.job.done
            self.step("cancel a job", lambda: call.job.cancel("enough"))

    @rule(call=calls)
    def look(self, call: Call | None) -> None:
        if call is not None and call.job.done:

            def action() -> None:
                call.job.exception()
                call.note_seen()

            self.step("look at an end", action)

    @rule(
        call=calls,
        how=st.sampled_from(["outputs", "updates", "result", "wait"]),
        lag=st.sampled_from([0, 0, 0.001, 1, 7]),
        timeout=st.none() | seconds,
    )
    def read(self, call: Call | None, how: str, lag: float, timeout: float | None) -> None:
        if call is not None:
            world, reader = self.world, Reader(call, how)
            world.readers.append(reader)
            self.step(f"read {how}", lambda: world.start(world.read, reader, lag, timeout))

    @precondition(lambda self: self.run is not None and self.world.readers)
    @rule(which=st.integers(0, 5))
    def cancel_reader(self, which: int) -> None:
        readers = self.world.readers
        self.step("cancel a reader", readers[-1 - which % len(readers)].scope.cancel)

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
        name = f"{kind}: {type(what).__name__} of {path}"
        self.step(name, lambda: self.world.server.fault(method, path, what, times=times))

    @rule()
    def clear_faults(self) -> None:
        self.step("clear faults", self.world.server.clear_faults)

    @rule(reset=st.booleans())
    def cut_connections(self, reset: bool) -> None:
        self.world.harm()
        self.step("cut connections", lambda: self.world.server.kill_connections(reset=reset))

    @rule()
    def die(self) -> None:
        self.world.harm()
        self.step("server dies", self.world.server.die)

    @rule()
    def restart(self) -> None:
        self.world.harm()
        self.world.restarts += 1
        self.step("server restarts", self.world.server.restart)

    @rule(size=st.sampled_from([None, None, 0, 1, 2]))
    def queue_size(self, size: int | None) -> None:
        def action() -> None:
            self.world.server.app.max_queue_size = size
            if size is not None:
                for call in (*self.world.calls, *self.world.plain_calls):
                    call.crowded = True

        self.step("bound the queue" if size is not None else "unbound the queue", action)

    @rule(deaf=st.booleans())
    def deafen(self, deaf: bool) -> None:
        def action() -> None:
            self.world.server.deaf_to_cancel = deaf

        self.step("deaf to cancels" if deaf else "hears cancels", action)

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


async def wind_up(world: World, ending: str) -> None:
    """Bring everything to its end, and check that it was one."""
    server = world.server
    with trio.fail_after(LONG):
        server.clear_faults()
        server.deaf_to_cancel, server.app.max_queue_size = False, None
        if ending == "wait":
            # Nobody cancels anything: the app is started anew, so that nothing there goes on.
            world.harm()
            world.restarts += 1
            server.restart()
            for call in world.calls:
                if call.surface is None and call.plan.end == "hang":
                    call.cancelled = call.cancelled or not call.job.done
                    call.job.cancel()
                await call.job.wait()
            await trio.sleep(300)
            await checks.check_no_slot_taken(world)
        for scope in reversed(world.scopes):
            if scope.over:
                continue
            if ending == "cancel":
                world.cancel(scope, its_own=scope.thing is not None)
            elif ending == "leave" or ending == "wait":
                for call in world.calls:
                    if call.scope is scope and not call.job.done:
                        call.cancelled = True
                        call.job.cancel()
                world.leave(scope)
            else:
                world.leave(scope, raising=True)
            while not scope.over:
                await trio.sleep(1)
    for plain in world.plain_calls:
        plain.scope.cancel()
        plain.bounded = True
    for _ in range(3):
        await trio.sleep(50)  # the slowest reader goes on to its end
    await checks.check_nothing_left(world)
    checks.check_all_over(world)
