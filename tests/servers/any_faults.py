"""Hypothesis's strategies of faults, for tests in which any of them may come."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.servers.faults import Cut, Delay, Drip, EndAfter, Fault, Lose, Silence, Split, Stall

Faults = st.SearchStrategy[Fault]

losses: Faults = st.builds(Lose, handled=st.booleans(), reset=st.booleans())
silences: Faults = st.builds(Silence, handled=st.booleans())


def delays(seconds: st.SearchStrategy[float]) -> Faults:
    return st.builds(Delay, seconds, handled=st.booleans())


def breaks(sizes: st.SearchStrategy[int]) -> Faults:
    """Have a stream end or fall silent after so many bytes, or end after a few frames."""
    return st.one_of(
        st.builds(Cut, sizes, reset=st.booleans()),
        st.builds(Stall, sizes),
        st.builds(EndAfter, st.integers(0, 6), forget=st.booleans()),
    )


def pieces(
    split: st.SearchStrategy[int],
    drip: st.SearchStrategy[int],
    intervals: st.SearchStrategy[float],
) -> Faults:
    """Have a stream come whole but in pieces of so many bytes, at once or one by one."""
    return st.one_of(st.builds(Split, split), st.builds(Drip, drip, intervals))
