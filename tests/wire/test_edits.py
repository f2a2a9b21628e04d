"""Edits to values: Gradio's diff, undone."""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from tests.wire.strategies import checked, json_values, keys, successions
from triojob.gradio.protocol.diff import EditError, apply_edits
from triojob.gradio.protocol.messages import MOST_DEPTH, is_deeper
from triojob.testing._server.edits import edits_between

Diff = Callable[[Any, Any], list[Any]]


@pytest.fixture(scope="module")
def gradio_diff() -> Diff:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("gradio.utils", exc_type=ImportError).diff


# --- What Gradio's diff gets wrong ---


def is_miscounted(old: Any, new: Any) -> bool:
    """Tell whether Gradio's diff renumbers a deletion that it shouldn't."""
    return _deletions(old, new) is None


def _deletions(old: Any, new: Any) -> int | None:
    """Count the deletions of list items, or return None if they are miscounted."""
    if old == new or type(old) is not type(new):
        return 0
    if isinstance(old, dict):
        counts = [_deletions(old[key], new[key]) for key in old if key in new]
    elif isinstance(old, list):
        counts = [_deletions(a, b) for a, b in zip(old, new, strict=False)]
    else:
        return 0
    if None in counts:
        return None
    inside = sum(count for count in counts if count is not None)
    own = max(len(old) - len(new), 0) if isinstance(old, list) else 0
    # A list lowers each index by the number of deletions before it, those inside its items too.
    if isinstance(old, list) and inside and inside + own > 1:
        return None
    return inside + own


def check_succession(values: list[Any], diff: Diff) -> None:
    state = copy.deepcopy(values[0])
    for old, new in itertools.pairwise(values):
        edits = copy.deepcopy(diff(old, new))
        before, edits_before = copy.deepcopy(state), copy.deepcopy(edits)
        if is_miscounted(old, new):
            with contextlib.suppress(EditError):
                apply_edits(state, edits)
            rebuilt = new  # as the completion does
        else:
            rebuilt = apply_edits(state, edits)
            assert rebuilt == new
        assert state == before
        assert edits == edits_before, "edits are applied once for each reader"
        state = copy.deepcopy(rebuilt)


@checked
@given(successions())
@example(["", "a", "ab", "b", None, 0])
@example([[1, [2, 3]], [1, [2]], [1], []])
@example([{"a": {"b": [1]}}, {"a": {}}, {"c": 1}])
@example([[[1, 2, 3]], [[1]]])
def test_edits_rebuild_the_new_value(values: list[Any]) -> None:
    check_succession(values, edits_between)


@pytest.mark.full
@pytest.mark.real
def test_edits_of_gradio_itself_rebuild_new_value(gradio_diff: Diff) -> None:
    @checked
    @given(successions())
    def check(values: list[Any]) -> None:
        check_succession(values, gradio_diff)
        for old, new in itertools.pairwise(values):
            assert edits_between(old, new) == gradio_diff(old, new), "our model is not Gradio's"

    check()


MISCOUNTED: list[tuple[Any, Any, Any]] = [
    # old, new, what the edits make of it (None: they don't fit)
    ([[1, 2], [3, 4, 5], 6, 7], [[1], [3]], None),
    ([[1, 2, 3]], [[1]], [[3]]),
    ([{"a": [1, 2, 3, 4]}], [{"a": [1, 2]}], [{"a": [1, 4]}]),
    ([[1, 2], 3], [[1]], [3]),
]


@pytest.mark.parametrize("old, new, made", MISCOUNTED)
def test_miscounted_deletions_are_error_or_wrong_value(old: Any, new: Any, made: Any) -> None:
    """Only the completion, which has the full value, tells which of the two it was."""
    assert is_miscounted(old, new)
    edits = edits_between(old, new)
    if made is None:
        with pytest.raises(EditError):
            apply_edits(old, edits)
    else:
        assert apply_edits(old, edits) == made
        assert made != new


@pytest.mark.full
@pytest.mark.real
@pytest.mark.parametrize("old, new, made", MISCOUNTED)
def test_gradio_itself_miscounts_them(gradio_diff: Diff, old: Any, new: Any, made: Any) -> None:
    assert gradio_diff(old, new) == edits_between(old, new)


# --- Against the plainest way to do it ---


def plainly_applied(root: Any, edits: list[Any]) -> Any:
    """Apply edits in place to a copy of all; a bad edit raises whatever it raises."""
    box = [copy.deepcopy(root)]
    for action, path, value in copy.deepcopy(edits):
        node: Any = box
        *way, last = [0, *path]
        for key in way:
            node = node[key]
        if action == "replace":
            node[last] = value
        elif action == "append":
            node[last] += value
        elif action == "add" and isinstance(node, list):
            node.insert(last, value)
        elif action == "add":
            node[last] = value
        else:
            del node[last]
    return box[0]


@st.composite
def fitting_edits(draw: Callable[..., Any]) -> tuple[Any, list[Any]]:
    """Make a value and edits that fit it, which may work on what earlier ones brought."""
    root = draw(json_values)
    value, edits = root, []
    for _ in range(draw(st.integers(0, 6))):
        path: list[Any] = []
        node = value
        while isinstance(node, (list, dict)) and node and draw(st.integers(0, 4)):
            key: Any = draw(
                st.integers(0, len(node) - 1)
                if isinstance(node, list)
                else st.sampled_from([*node])
            )
            path.append(key)
            node = node[key]
        new = draw(json_values)
        choices: list[Any] = [["replace", path, new]]
        if path:
            choices.append(["delete", path, None])
        if isinstance(node, str):
            choices.append(["append", path, draw(st.text(max_size=3))])
        if isinstance(node, list):
            choices.append(["add", [*path, draw(st.integers(0, len(node)))], new])
        if isinstance(node, dict):
            choices.append(["add", [*path, draw(keys)], new])
        edits.append(draw(st.sampled_from(choices)))
        value = plainly_applied(root, edits)
    return root, edits


@checked
@given(fitting_edits())
def test_edits_that_fit_do_what_they_say(case: tuple[Any, list[Any]]) -> None:
    root, edits = case
    root_before, edits_before = copy.deepcopy(root), copy.deepcopy(edits)
    expected = plainly_applied(root, edits)
    assert apply_edits(root, edits) == expected
    # Applied again, as a second reader does.
    assert apply_edits(root, edits) == expected
    assert (root, edits) == (root_before, edits_before)


junk_keys = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | keys | json_values
junk_edits = st.lists(
    st.tuples(
        st.sampled_from(["add", "append", "delete", "replace"]) | json_values,
        st.lists(junk_keys, max_size=4) | json_values,
        json_values,
    ).map(list)
    | json_values,
    max_size=4,
)


@checked
@given(json_values, junk_edits | json_values)
def test_any_edits_give_value_or_edit_error(root: Any, edits: Any) -> None:
    root_before, edits_before = copy.deepcopy((root, edits))
    try:
        made = apply_edits(root, edits)
    except EditError:
        pass
    else:
        assert made == plainly_applied(root, edits)
    # repr, for NaN isn't equal to itself
    assert repr((root, edits)) == repr((root_before, edits_before))


MALFORMED: list[tuple[Any, Any]] = [
    # the edits themselves
    (1, None),
    (1, {}),
    (1, "add"),
    (1, 3),
    # an edit
    (1, [None]),
    (1, [3]),
    (1, [[]]),
    (1, [["replace", []]]),
    (1, [["replace", [], 1, 2]]),
    (1, ["abc"]),
    (1, [{"action": 1, "path": 2, "value": 3}]),
    # the path
    (1, [["replace", None, 2]]),
    (1, [["replace", "a", 2]]),
    ({"a": 1}, [["replace", {"a": 1}, 2]]),
    ({"a": 1}, [["replace", 0, 2]]),
    # the action
    (1, [["delete", [], None]]),
    (1, [["add", [], 1]]),
    (1, [["move", [], 1]]),
    ("a", [["move", [], "b"]]),
    (1, [[None, [], 1]]),
    ([1], [["move", [0], 1]]),
    ([1], [[[], [0], 1]]),
    ([1], [[{}, [0], 1]]),
    # append
    (1, [["append", [], "a"]]),
    (None, [["append", [], "a"]]),
    ("a", [["append", [], 1]]),
    ("a", [["append", [], None]]),
    ([["a"]], [["append", [0], ["b"]]]),
    # where the path leads
    (1, [["replace", [0], 1]]),
    ("abc", [["replace", [0], "x"]]),
    (None, [["add", ["a"], 1]]),
    ([], [["replace", [0], 1]]),
    ([1], [["replace", [1], 1]]),
    ([1], [["replace", [-1], 1]]),
    ([1], [["delete", [-1], None]]),
    ([1], [["delete", [1], None]]),
    ([1], [["add", [-1], 1]]),
    ([1], [["add", [2], 1]]),
    ([1], [["add", [2**70], 1]]),
    ([1], [["replace", [2**70], 1]]),
    ([1], [["replace", [-(2**70)], 1]]),
    ([1, 2], [["replace", [True], 1]]),
    ([1, 2], [["replace", [False], 1]]),
    ([1, 2], [["add", [True], 1]]),
    ([1], [["replace", [0.0], 1]]),
    ([1], [["replace", ["0"], 1]]),
    ([1], [["replace", [None], 1]]),
    ([1], [["replace", [[]], 1]]),
    ([1], [["replace", [{}], 1]]),
    ([[1]], [["replace", [-1, 0], 1]]),
    ([[1]], [["replace", [True, 0], 1]]),
    ([[1]], [["replace", [0, 0, 0], 1]]),
    ({}, [["replace", ["a"], 1]]),
    ({}, [["delete", ["a"], None]]),
    ({}, [["append", ["a"], "x"]]),
    ({}, [["add", ["a", "b"], 1]]),
    ({}, [["add", [0], 1]]),
    ({}, [["add", [None], 1]]),
    ({}, [["add", [[]], 1]]),
    ({"a": 1}, [["replace", [[]], 1]]),
    ({"a": 1}, [["replace", [{}, 0], 1]]),
    ({"0": 1}, [["replace", [0], 1]]),
    ({"a": {}}, [["replace", ["a", "b"], 1]]),
    # where the path leads, once an edit has been there
    ("a", [["append", [], "b"], ["replace", ["a"], 1]]),
    (["a"], [["append", [0], "b"], ["replace", [0, "a"], 1]]),
    (["a"], [["append", [0], "b"], ["add", [0, "a"], 1]]),
    (["a"], [["append", [0], "b"], ["delete", [0, "a"], None]]),
    (["a"], [["append", [0], "b"], ["append", [0, "a"], "c"]]),
    (["a"], [["append", [0], "b"], ["replace", [0, "a", "b"], 1]]),
    (["a"], [["append", [0], "b"], ["append", [0], "c"], ["replace", [0, "a"], 1]]),
]


@pytest.mark.parametrize("root, edits", MALFORMED)
def test_misfitting_edit_is_edit_error(root: Any, edits: Any) -> None:
    before = copy.deepcopy(root)
    with pytest.raises(EditError) as caught:
        apply_edits(root, edits)
    assert root == before
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("junk", ["x" * 10_000, ["x"] * 10_000, 10**3000])
@pytest.mark.parametrize("where", [0, 1])
def test_large_bad_edit_is_shown_cut_short(where: int, junk: Any) -> None:
    edit: list[Any] = ["move", [0], 1]
    edit[where] = [junk] if where else junk
    with pytest.raises(EditError) as caught:
        apply_edits([1], [edit])
    assert len(str(caught.value)) < 200


def test_failed_last_edit_changes_nothing() -> None:
    root = {"a": [1, 2], "b": "x"}
    with pytest.raises(EditError):
        apply_edits(root, [["delete", ["a", 0], None], ["append", ["b"], "y"], ["add", [], 0]])
    assert root == {"a": [1, 2], "b": "x"}


def test_no_edits_change_nothing() -> None:
    root = {"a": [1]}
    assert apply_edits(root, []) is root


# --- Sharing ---


def test_what_is_off_the_path_is_shared() -> None:
    root = {"a": {"b": [[1], [2]], "c": [3]}, "d": [4]}
    new = apply_edits(root, [["add", ["a", "b", 0, 1], 9]])
    assert new == {"a": {"b": [[1, 9], [2]], "c": [3]}, "d": [4]}
    assert new["d"] is root["d"]
    assert new["a"]["c"] is root["a"]["c"]
    assert new["a"]["b"][1] is root["a"]["b"][1]
    for old_node, new_node in (
        (root, new),
        (root["a"], new["a"]),
        (root["a"]["b"], new["a"]["b"]),
        (root["a"]["b"][0], new["a"]["b"][0]),
    ):
        assert old_node is not new_node


def test_edits_value_survives_next_edit() -> None:
    brought = {"x": [1]}
    first = apply_edits([], [["add", [0], brought]])
    second = apply_edits(first, [["add", [0, "x", 1], 2]])
    assert brought == {"x": [1]}
    assert first == [{"x": [1]}]
    assert second == [{"x": [1, 2]}]


def test_value_brought_twice_changes_once() -> None:
    brought: list[Any] = []
    edits = [["add", [0], brought], ["add", [1], brought], ["add", [0, 0], 1]]
    assert apply_edits([], edits) == [[1], []]
    assert brought == []


class CountingList(list[Any]):
    copies = 0

    def copy(self) -> CountingList:
        CountingList.copies += 1
        return CountingList(self)


def test_a_message_copies_each_container_once() -> None:
    """A message of n edits to a list of m items costs n + m, not n times m."""
    root = CountingList([CountingList([0] * 50), CountingList([0] * 50)])
    edits = [["replace", [0, i], 1] for i in range(50)]
    edits += [["add", [0, 50 + i], 2] for i in range(50)]
    CountingList.copies = 0
    assert apply_edits(root, edits)[0] == [1] * 50 + [2] * 50
    assert CountingList.copies == 2


def test_deep_paths() -> None:
    depth = MOST_DEPTH
    root: Any = "x"
    for _ in range(depth):
        root = [root]
    new = apply_edits(root, [["append", [0] * depth, "y"]])
    leaves = []
    for value in (root, new):
        node = value
        for _ in range(depth):
            node = node[0]
        leaves.append(node)
    assert leaves == ["x", "xy"]
    with pytest.raises(EditError):
        apply_edits(root, [["append", [0] * (depth + 1), "y"]])


@pytest.mark.parametrize("action", ["replace", "add"])
def test_nesting_by_edits_is_bounded(action: str) -> None:
    root: Any = [0]
    for _ in range(MOST_DEPTH - 3):
        root = [root]
    path = [0] * (MOST_DEPTH - 2)
    deepest = apply_edits(root, [[action, path, [[1]]]])
    assert is_deeper(deepest, MOST_DEPTH - 1)
    assert not is_deeper(deepest, MOST_DEPTH)
    with pytest.raises(EditError, match="more than 256 levels deep"):
        apply_edits(root, [[action, path, [[[1]]]]])


def test_containers_on_the_path_are_told() -> None:
    value = {"kept": [1], "path": [{"text": "a"}, "other"]}
    changed: list[Any] = ["before"]
    new = apply_edits(
        value, [["append", ["path", 0, "text"], "b"], ["add", ["path", 2], 3]], changed
    )
    assert new == {"kept": [1], "path": [{"text": "ab"}, "other", 3]}
    before, *told = changed
    assert before == "before"
    assert [*map(id, told)] == [id(new), id(new["path"]), id(new["path"][0])]
