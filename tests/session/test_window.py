"""The window against simulated servers: with few slots and many, near and far, and with limits."""

from __future__ import annotations

from functools import partial

import pytest

from triojob.gradio.session.window import INITIAL, Window

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


def test_trial_that_brings_nothing_is_taken_back() -> None:
    """A server whose processor is busy lets nothing wait in its queue, but gets slower."""
    window = Window()
    time, sizes, flying = 0.0, [], []
    for call in range(3000):
        while window.room:
            window.sent(call + len(flying))
            flying.append(call + len(flying))
        first = flying.pop(0)
        window.queued(first)
        window.started(first, 1)
        time += 0.005  # whatever is in flight, so many calls end in a second
        window.ended(first, 1, time)
        sizes.append(window.size)
    assert max(sizes) == 2 * INITIAL
    assert sizes.count(INITIAL) > 0.9 * len(sizes)


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
    for note in (window.queued, window.note_refusal, window.withdrawn):
        note(1)
    window.started(1, 1)
    window.ended(1, 1, 0.0)
    assert window.statistics(0).in_flight == window.statistics(0).running == 0
    assert window.size == INITIAL
