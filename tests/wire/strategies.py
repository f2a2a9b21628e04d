"""What Hypothesis makes up for these tests: JSON values, successive versions of one, chunks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st

checked = settings(
    # The same examples each time: a failure is the change's, never the day's.
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow],
)

# Few letters and few keys, so that successive values have much in common.
texts = st.text("ab\u2028\U0001f600", max_size=4)
keys = st.sampled_from(["", "a", "b", "0", "\u2028"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@st.composite
def next_versions(draw: Callable[..., Any], old: Any) -> Any:
    """Make a value that a handler could yield after `old`: much is the same, or grew or shrank."""
    what = draw(st.integers(0, 5))
    if what == 0:
        return draw(json_values)
    if what == 1:
        return old
    if isinstance(old, str):
        return old + draw(texts) if what < 4 else old[: draw(st.integers(0, 2))]
    if isinstance(old, list):
        kept = old[: draw(st.integers(0, len(old)))] if what < 4 else old
        items = [draw(next_versions(item)) for item in kept]
        return items + draw(st.lists(json_values, max_size=2))
    if isinstance(old, dict):
        result = {}
        for key, value in old.items():
            if draw(st.integers(0, 3)):
                result[key] = draw(next_versions(value))
        return {**result, **draw(st.dictionaries(keys, json_values, max_size=1))}
    return draw(leaves)


@st.composite
def successions(draw: Callable[..., Any]) -> list[Any]:
    """Make what a handler could yield, one value after the other."""
    values = [draw(json_values)]
    for _ in range(draw(st.integers(1, 4))):
        values.append(draw(next_versions(values[-1])))
    return values


@st.composite
def chunked(draw: Callable[..., Any], whole: bytes) -> list[bytes]:
    """Cut bytes into chunks, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    edges = [0, *cuts, len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges)]
