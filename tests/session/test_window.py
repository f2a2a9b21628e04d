"""The window against simulated servers: with few slots and many, near and far, and with limits."""

from __future__ import annotations

import itertools
from collections import deque
from functools import partial

import pytest

from triojob.gradio.session.window import INITIAL, Window, WindowStatistics

from .simulation import Server, Simulation


@pytest.mark.parametrize(
    "slots, most, settled",
    [
        (1, INITIAL, range(1, 5)),
        (4, INITIAL, range(6, 12)),
        (10, INITIAL, range(12, 17)),
        (40, 64, range(60, 65)),
        (100, 256, range(110, 161)),
    ],
)
def test_window_settles_near_running_calls(slots: float, most: int, settled: range) -> None:
    simulation = Simulation(Server(slots, seconds=1), Window(), 4000).run()
    assert max(simulation.sizes) <= most
    assert simulation.sizes[3000] in settled
    assert simulation.now <= 1.05 * 4000 / min(slots, 256)


@pytest.mark.parametrize("slots", [10, 40])
def test_distant_server_leaves_no_slot_idle(slots: int) -> None:
    # Half of the time, each call is on its way there or back.
    server = Server(slots, seconds=0.02, latency=0.01)
    simulation = Simulation(server, Window(), 4000).run()
    assert simulation.now <= 1.1 * 4000 * 0.02 / slots


class BusyServer:
    """Ends each call as soon as it starts, at the same rate however many calls are in flight."""

    def __init__(self) -> None:
        self.window = Window()
        self.now = 0.0
        self.in_flight = deque[int]()
        self.sizes: list[int] = []
        self._calls = itertools.count()

    def end(
        self,
        count: int,
        *,
        rate: float = 200,
        waiting_here: int = 1,
        waited: int = 0,
        ends: int = 4,
    ) -> None:
        """End ``count`` calls; ``waited`` of 16 receive a rank ``ends`` ends before they start."""
        for _ in range(count):
            while self.window.in_flight < self.window.size:
                self.in_flight.append(next(self._calls))
                self.window.sent(self.in_flight[-1])
            if self.in_flight[ends] % 16 < waited:
                self.window.queued(self.in_flight[ends])
            self.window.started(self.in_flight[0], waiting_here)
            self.now += 1 / rate
            self.window.ended(self.in_flight.popleft(), waiting_here, self.now)
            self.sizes.append(self.window.size)


@pytest.mark.parametrize(
    "waited, ends, is_tried", [(2, 4, True), (3, 4, False), (16, 1, True), (16, 2, False)]
)
def test_larger_window_is_tried_if_few_waited(waited: int, ends: int, is_tried: bool) -> None:
    server = BusyServer()
    server.end(32, waited=waited, ends=ends)
    assert set(server.sizes) == {INITIAL}
    server.end(1, waited=waited, ends=ends)
    assert server.window.size == (2 * INITIAL if is_tried else INITIAL)


def test_trial_that_brings_nothing_is_taken_back() -> None:
    server = BusyServer()
    server.end(3000)
    assert max(server.sizes) == 2 * INITIAL
    assert server.sizes.count(INITIAL) > 0.9 * len(server.sizes)


@pytest.mark.parametrize("gain, size", [(1.2, INITIAL), (1.3, 2 * INITIAL)])
def test_trial_is_judged_by_second_window(gain: float, size: int) -> None:
    server = BusyServer()
    server.end(33)
    server.end(33)  # these were sent before
    assert server.window.size == 2 * INITIAL
    server.end(32, rate=gain * 200)
    assert server.window.size == size


def test_shrunk_window_is_tried_anew() -> None:
    server = BusyServer()
    server.end(200)  # a trial of 32 has brought nothing
    server.end(34, waited=16, ends=5)
    size = server.window.size
    assert size < INITIAL
    server.end(3 * INITIAL)
    assert server.window.size == 2 * size
    server.end(300, rate=400)
    assert max(server.sizes[200:]) == 4 * size > 2 * INITIAL


def test_pause_does_not_lower_measured_rate() -> None:
    server = BusyServer()
    server.end(20)
    server.end(1, waiting_here=0)
    server.now += 3600
    server.end(200)
    assert max(server.sizes) == 2 * INITIAL
    assert server.window.size == INITIAL


@pytest.mark.parametrize(
    "running, waiting, size",
    [(1, 14, 4), (5, 10, 8), (6, 9, 10), (8, 5, 16), (8, 6, 14), (11, 4, 16)],
)
@pytest.mark.parametrize("is_dip", [False, True])
def test_it_shrinks_by_those_who_wait(running: int, waiting: int, size: int, is_dip: bool) -> None:
    """Of the waiting calls, half as many as run are kept, and two at least."""
    window = Window()
    for call in range(16):
        window.sent(call)
    for call in range(running + 1):
        window.started(call, 1)
    for call in range(running + 1, running + 1 + waiting):
        window.queued(call)
    for call in range(17):  # one ends, another one comes, the next one starts
        assert window.size == 16
        window.ended(call, 1, call)
        window.sent(call + 16)
        first = running + 1 + call
        window.queued(first + waiting)
        window.started(first, 1)
        if is_dip and call == 8:
            for waiter in range(first + 1, first + 1 + waiting):
                window.withdrawn(waiter)
            for waiter in range(first + 1, first + 1 + waiting):
                window.sent(waiter)
                window.queued(waiter)
    assert window.size == (16 if is_dip else size)


def test_it_follows_a_limit_that_changes() -> None:
    server = Server(40)
    changes = {
        0.5: partial(setattr, server, "slots", 5),
        2.5: partial(setattr, server, "slots", 80),
    }
    simulation = Simulation(server, Window(), 5000).run(changes)
    small = min(simulation.sizes)
    assert 5 <= small <= 16
    assert max(simulation.sizes[simulation.sizes.index(small) :]) >= 80
    assert simulation.now <= 4.0


def test_queued_calls_take_no_more() -> None:
    simulation = Simulation(Server(10, others=50), Window(), 500).run()
    assert max(simulation.sizes) == INITIAL


@pytest.mark.parametrize("connections", [1, 2, 5, 10, 20])
def test_few_connections_mean_few_refusals(connections: int) -> None:
    simulation = Simulation(Server(40, connections=connections), Window(), 1000).run()
    assert simulation.refusals < 1000 / 6
    assert max(simulation.sizes[200:]) <= connections + 1


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_refusals_by_chance_leave_it_large(share: float) -> None:
    server = Server(40, chance=share)
    simulation = Simulation(server, Window(), 4000).run()
    assert simulation.refusals > 0.8 * share * 4000
    assert min(simulation.sizes) >= INITIAL
    assert simulation.now <= 1.5 * 4000 * 0.02 / 40


@pytest.mark.parametrize("ended, forgiven", [(0, 2), (7, 2), (8, 3), (1000, 8)])
def test_so_many_refusals_in_row_are_forgiven(ended: int, forgiven: int) -> None:
    window = Window()
    for call in range(ended):
        window.sent(call)
        window.ended(call, 0, 0.0)
    for call in range(forgiven + 1):
        assert window.size == INITIAL
        window.sent(call)
        window.note_refusal(call)
        window.withdrawn(call)
    assert window.size == INITIAL // 2


def test_a_burst_of_refusals_halves_it_once() -> None:
    window = Window()
    for call in range(16):
        window.sent(call)
    for call in range(16):
        window.note_refusal(call)
    assert window.size == 8
    window.sent(16)
    window.note_refusal(16)
    assert window.size == 4


@pytest.mark.parametrize(
    "halvings, size, windows", [(1, 8, 2), (2, 4, 4), (3, 2, 8), (4, 1, 16), (5, 1, 32), (6, 1, 32)]
)
def test_halved_window_grows_by_one(halvings: int, size: int, windows: int) -> None:
    window = Window()
    for call in range(2 + halvings):
        window.sent(call)
        window.note_refusal(call)
        window.withdrawn(call)
    calls, in_flight = itertools.count(), deque[int]()

    def fill() -> None:
        while window.in_flight < window.size:
            in_flight.append(next(calls))
            window.sent(in_flight[-1])
            window.started(in_flight[-1], 1)

    fill()
    for current in (size, size + 1):
        for _ in range(windows * current):
            assert window.size == current
            window.ended(in_flight.popleft(), 1, 0.0)
            fill()
    assert window.size == size + 2
    for _ in range(9):  # at most eight are forgiven
        window.note_refusal(in_flight[0])
    assert window.size == (size + 2) // 2


def test_it_grows_for_those_who_wait_only() -> None:
    window = Window()
    for call in range(16):
        window.sent(call)
        window.started(call, 0)
    assert window.size == 16
    window.demanded(1)
    assert window.size == 32


def test_window_grows_while_all_runs() -> None:
    simulation = Simulation(Server(10_000, seconds=1), Window(), 10_000).run()
    assert max(simulation.sizes) >= 4096


def test_a_fixed_one_stays_as_it_is() -> None:
    simulation = Simulation(Server(1, connections=20), Window(24), 200).run()
    assert set(simulation.sizes) == {24}


def test_calls_not_in_flight_are_uncounted() -> None:
    window = Window()
    for call in range(3):
        window.sent(call)
    window.queued(0)
    window.started(1, 0)
    window.queued(1)  # its rank was sent before it started, and comes late
    assert window.statistics(5) == WindowStatistics(INITIAL, 3, 1, 1, 5)
    for call in range(3):
        window.withdrawn(call)
        window.queued(call)
        window.started(call, 1)
        window.note_refusal(call)
    assert window.statistics(0) == WindowStatistics(INITIAL, 0, 0, 0, 0)
    assert window.in_flight == 0
