"""Property updates: what users see of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.wire.apps import STATE, endpoint, returned
from tests.wire.following import completed, follow, generating
from triojob import PropertyUpdate

ONE = endpoint(outputs=[returned()])


@pytest.mark.parametrize("value", [1, None, [], {}, {"a": 1}, "text", {"__type__": "update"}])
def test_update_with_a_value_is_that_value(value: Any) -> None:
    assert ONE.present([{"__type__": "update", "label": "x", "value": value}]) == value


def test_valueless_update_maps_its_changes() -> None:
    wire = {"__type__": "update", "label": "x", "visible": False}
    output = ONE.present([wire])
    assert isinstance(output, PropertyUpdate)
    assert output == {"label": "x", "visible": False}
    assert dict(output) == {"label": "x", "visible": False}
    assert output["label"] == "x"
    assert list(output) == ["label", "visible"]
    assert repr(output) == "PropertyUpdate({'label': 'x', 'visible': False})"
    assert copy.deepcopy(output) == output == pickle.loads(pickle.dumps(output))
    with pytest.raises(TypeError):
        output["label"] = "y"
    wire["label"] = "later"
    assert output["label"] == "x"


def test_update_of_nothing_is_empty() -> None:
    output = ONE.present([{"__type__": "update"}])
    assert isinstance(output, PropertyUpdate)
    assert not output


@pytest.mark.parametrize(
    "value", [{"__type__": "validate", "value": 1}, {"value": 1}, {"__type__": None}, [1], "update"]
)
def test_all_else_stays_as_it_is(value: Any) -> None:
    assert ONE.present([value]) == value


def test_each_output_for_itself() -> None:
    two = endpoint(outputs=[returned(), STATE, returned()])
    shown = two.present([{"__type__": "update", "value": 1}, None, {"__type__": "update", "a": 2}])
    assert shown == (1, {"a": 2})


def test_edits_come_first() -> None:
    """The server's edits are of the dictionaries that it sent, not of what users see."""
    update = {"__type__": "update", "label": "x", "value": "one"}
    followed = follow(
        [
            generating(update),
            generating([["append", ["value"], " two"]]),
            generating([["delete", ["value"], None]]),
            generating([["replace", [], "plain"]]),
            generating([["replace", [], update]]),
            completed(update),
        ],
        streams=True,
        present=ONE.present,
    )
    assert followed.outputs == ["one", "one two", {"label": "x"}, "plain", "one"]
    assert followed.value == "one"
