"""Arguments to the ``data`` of a call: what is refused, and what is sent."""

from __future__ import annotations

import datetime as dt
import enum
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.hanging import SECONDS
from tests.support.steps import assert_linear
from tests.wire import gradio_components
from tests.wire.apps import NUMBER, STATE, endpoint, optional, parameter
from tests.wire.strategies import checked, json_values
from triojob.gradio.schema.app import AppInfo, EndpointInfo
from triojob.gradio.schema.parameters import Parameter
from triojob.testing.components import FILE_SCHEMA

INTEGER = {"type": "integer"}
BOOLEAN = {"type": "boolean"}
ARRAY = {"type": "array"}
CHOICE = {"type": "string", "enum": ["red", "green"]}
CHOICES = {"type": "array", "items": {"type": "string", "enum": ["red", "green"]}}
ANY = {"type": {}, "description": "any valid json"}
FILE = {"type": "object", "properties": {}}
UNION = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def encoded(info: EndpointInfo, *args: Any, **kwargs: Any) -> Any:
    return json.loads(info.encode(args, kwargs, validate=True))


def one(schema: Any, **changes: Any) -> EndpointInfo:
    """Describe an endpoint with one parameter, `x`."""
    return endpoint(parameter("x", schema, **changes))


# --- Binding ---

THREE = partial(
    endpoint, parameter("text"), optional("n", 3, NUMBER), optional("picks", ["a"], ARRAY)
)


@pytest.mark.parametrize(
    "args, kwargs, data",
    [
        (("a",), {}, ["a", 3, ["a"]]),
        (("a", 1), {}, ["a", 1, ["a"]]),
        (("a", 1, []), {}, ["a", 1, []]),
        ((), {"text": "a"}, ["a", 3, ["a"]]),
        (("a",), {"picks": ["b"]}, ["a", 3, ["b"]]),
        ((), {"picks": [], "n": 2, "text": ""}, ["", 2, []]),
        ((None, None, None), {}, [None, None, None]),
    ],
)
def test_arguments_by_place_and_by_name(args, kwargs, data):
    assert encoded(THREE(), *args, **kwargs) == data


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    "args, kwargs, words",
    [
        ((), {}, ["misses 'text'"]),
        ((), {"n": 1}, ["misses 'text'"]),
        (("a", 1, [], 4), {}, ["takes 3 arguments", "4 were given"]),
        (("a",), {"text": "b"}, ["'text' twice"]),
        (("a",), {"txt": 1}, ["no parameter 'txt'", "did you mean 'text'"]),
        (("a",), {"zzz": 1}, ["no parameter 'zzz'"]),
        (("a",), {"Picks": 1}, ["no parameter 'Picks'", "did you mean 'picks'"]),
    ],
)
def test_arguments_that_do_not_bind(args, kwargs, words, validate):
    with pytest.raises(TypeError) as caught:
        THREE().encode(args, kwargs, validate=validate)
    for word in ["/run(text, n, picks)", *words]:
        assert word in str(caught.value)


def test_unlike_name_gets_no_suggestion() -> None:
    with pytest.raises(TypeError) as caught:
        encoded(THREE(), "a", zzz=1)
    assert "did you mean" not in str(caught.value)


def test_all_that_is_missing_is_named() -> None:
    with pytest.raises(TypeError, match="misses 'a', 'c'"):
        encoded(endpoint(parameter("a"), optional("b", 1), parameter("c")))


def test_an_endpoint_without_parameters() -> None:
    assert encoded(endpoint()) == []
    with pytest.raises(TypeError, match="takes 0 arguments"):
        encoded(endpoint(), 1)


def test_hidden_components_are_null_wherever_they_stand() -> None:
    info = endpoint(STATE, parameter("a"), STATE, STATE, optional("b", "d"), STATE)
    assert encoded(info, "x") == [None, "x", None, None, "d", None]
    assert encoded(info, "x", "y") == [None, "x", None, None, "y", None]
    assert encoded(endpoint(STATE, STATE)) == [None, None]


FILE_DEFAULT = {
    "path": "/etc/hosts",
    "url": "http://elsewhere/",
    "meta": {"_type": "gradio.FileData"},
}


@pytest.mark.parametrize(
    "default", [None, "", "d", 0, 1.5, True, [], ["a"], {}, FILE_DEFAULT, "not one of them", 99]
)
def test_default_is_sent_as_app_says_it(default: Any) -> None:
    """It is the app's own word: it is checked by nobody here, and nothing is read from disk."""
    for schema in (CHOICE, NUMBER, ARRAY, ANY):
        info = endpoint(optional("x", default, schema, props={"minimum": 5, "maximum": 9}))
        sent = encoded(info)
        assert sent == [default]
        assert type(sent[0]) is type(default)


@pytest.mark.parametrize("flag", [None, 1, "true", [], {}])
def test_only_true_means_that_there_is_default(flag: Any) -> None:
    info = endpoint(parameter("x", parameter_has_default=flag, parameter_default="d"))
    with pytest.raises(TypeError, match="misses 'x'"):
        encoded(info)


# --- Kinds ---


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


TAKEN: list[tuple[Any, dict[str, Any], list[Any]]] = [
    ({"type": "string"}, {}, ["", "a", "\U0001f600\u2028\0", 0, 1.5, True, None, Text("a")]),
    (NUMBER, {}, [0, -1, 1.5, 2**70, True, None, Level.LOW]),
    (NUMBER, {"minimum": 0, "maximum": 10}, [0, 10, 0.0, 10.0, 5, 1e-300, True, None]),
    (NUMBER, {"minimum": 0}, [0, 10**30]),
    (NUMBER, {"maximum": 0}, [0, -(10**30)]),
    (NUMBER, {"minimum": None, "maximum": None}, [0, -5]),
    (NUMBER, {"minimum": "0", "maximum": [1]}, [-5, 5]),
    (INTEGER, {}, [0, -1, 2.0, 2.5, True, None]),
    (BOOLEAN, {}, [True, False, 0, 1, None]),
    (ARRAY, {}, [[], (), [1, "a", None, []], ("a",), None]),
    (CHOICE, {}, ["red", "green", None, Colour.RED, Text("red")]),
    (CHOICE, {"allow_custom_value": True}, ["red", "blue", "", 3, None]),
    (CHOICE, {"allow_custom_value": False}, ["red", None]),
    ({"type": "string", "enum": [1, 2.5, True, None, "x"]}, {}, [1, 2.5, True, None, "x", 1.0]),
    (CHOICES, {}, [[], ["red"], ("green", "red"), ["red", "red"], None]),
    (CHOICES, {"allow_custom_value": True}, [["blue"], []]),
    ({"type": "array", "items": {"enum": [1, 2], "type": "string"}}, {}, [[1], [2, 1]]),
    (ANY, {}, ["a", 1, [], {}, {"a": [None, {"b": 1.5}]}, None, True]),
    (FILE, {}, [{"path": "x", "meta": {"_type": "gradio.FileData"}}, None]),
    (UNION, {}, ["a", None]),
    ({"type": ["string", "null"]}, {}, ["a", None, 3]),
    ({"type": "unheard of"}, {}, ["a", None, 3]),
    ({}, {}, ["a", None, 3]),
    (None, {}, ["a", None, 3]),
    ("string", {}, ["a", None, 3]),
    ({"type": "array", "items": None}, {}, [["a"]]),
    ({"type": "array", "items": {"enum": "abc"}}, {}, [["z"]]),
]


@pytest.mark.parametrize("schema, props, values", TAKEN)
def test_what_is_taken(schema: Any, props: dict[str, Any], values: list[Any]) -> None:
    info = one(schema, props=props)
    for value in values:
        assert encoded(info, value) == json.loads(json.dumps([value]))


REFUSED: list[tuple[Any, dict[str, Any], Any, type[Exception], str]] = [
    ({"type": "string"}, {}, ["a"], TypeError, r"takes text, not \['a'\]"),
    ({"type": "string"}, {}, {"a": 1}, TypeError, "takes text"),
    ({"type": "string"}, {}, b"a", TypeError, "takes text"),
    ({"type": "string"}, {}, Path("a"), TypeError, "takes text"),
    ({"type": "string"}, {}, dt.date(2020, 1, 1), TypeError, "takes text"),
    (NUMBER, {}, "1", TypeError, "takes a number, not '1'"),
    (NUMBER, {}, [1], TypeError, "takes a number"),
    (NUMBER, {}, 1j, TypeError, "takes a number"),
    (NUMBER, {"minimum": 0, "maximum": 10}, -1, ValueError, "from 0 up to 10, not -1"),
    (NUMBER, {"minimum": 0, "maximum": 10}, 10.5, ValueError, "from 0 up to 10, not 10.5"),
    (NUMBER, {"minimum": 0.25}, 0, ValueError, r"from 0\.25, not 0"),
    (NUMBER, {"maximum": -1}, 0, ValueError, "up to -1, not 0"),
    (NUMBER, {"minimum": 0}, float("nan"), ValueError, "not nan"),
    (NUMBER, {"maximum": 1}, float("inf"), ValueError, "not inf"),
    (NUMBER, {"maximum": 123456789}, 123456790, ValueError, "up to 123456789, not 123456790"),
    (INTEGER, {}, "1", TypeError, "takes a whole number"),
    (BOOLEAN, {}, "True", TypeError, "takes True or False, not 'True'"),
    (BOOLEAN, {}, 1.0, TypeError, "takes True or False"),
    (ARRAY, {}, "ab", TypeError, "takes a list, not 'ab'"),
    (ARRAY, {}, {"a": 1}, TypeError, "takes a list"),
    (ARRAY, {}, {1}, TypeError, "takes a list"),
    (ARRAY, {}, range(3), TypeError, "takes a list"),
    (CHOICE, {}, "blue", ValueError, r"takes one of \['red', 'green'\], not 'blue'"),
    (CHOICE, {}, "", ValueError, "one of"),
    (CHOICE, {}, 3, ValueError, "one of"),
    (CHOICE, {}, ["red"], TypeError, "takes text"),
    ({"type": "string", "enum": []}, {}, "x", ValueError, "one of"),
    ({"type": "string", "enum": [1, 2]}, {}, "1", ValueError, r"one of \[1, 2\], not '1'"),
    (CHOICES, {}, ["red", "blue"], ValueError, r"takes one of \['red', 'green'\], not 'blue'"),
    (CHOICES, {}, [["red"]], ValueError, "one of"),
    (CHOICES, {}, [None], ValueError, "one of"),
    (CHOICES, {}, "red", TypeError, "takes a list"),
]


@pytest.mark.parametrize("schema, props, value, error, words", REFUSED)
def test_what_is_refused(schema, props, value, error, words):
    info = endpoint(parameter("other", ANY), parameter("x", schema, props=props))
    with pytest.raises(error, match=words) as caught:
        encoded(info, None, value)
    assert str(caught.value).startswith("parameter 'x' of /run takes ")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("schema, props, value, error, words", REFUSED)
def test_unchecked_json_is_sent(schema, props, value, error, words):
    info = one(schema, props=props)
    try:
        expected = json.loads(json.dumps([value], allow_nan=False))
    except (TypeError, ValueError):
        with pytest.raises((TypeError, ValueError), match="can't be sent as JSON"):
            info.encode((value,), {}, validate=False)
    else:
        assert json.loads(info.encode((value,), {}, validate=False)) == expected


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HARD_TO_SHOW: dict[str, tuple[Any, Any]] = {
    "a long list for text": ({"type": "string"}, ["x"] * 100_000),
    "a deep list for text": ({"type": "string"}, nested(100_000)),
    "a huge number for a list": (ARRAY, 10**5000),
    "a huge number for a choice": (CHOICE, 10**5000),
    "a huge number for a small one": (NUMBER, 10**5000),
    "a large number for a small one": (NUMBER, 10**4000),
    "a deep list for a choice": (CHOICES, [nested(100_000)]),
    "an unprintable object": (NUMBER, Unprintable()),
}


@pytest.mark.parametrize("schema, value", HARD_TO_SHOW.values(), ids=HARD_TO_SHOW)
def test_odd_values_are_named_and_shortened(schema: Any, value: Any) -> None:
    info = one(schema, props={"minimum": 0, "maximum": 10})
    with pytest.raises((TypeError, ValueError)) as caught:
        encoded(info, value)
    message = str(caught.value)
    assert message.startswith("parameter 'x' of /run")
    assert len(message) < 600


def test_many_choices_are_cut_short() -> None:
    choices = [f"choice {n}" for n in range(100_000)]
    with pytest.raises(ValueError, match="one of") as caught:
        encoded(one({"type": "string", "enum": choices}), "x" * 100_000)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "minimum, maximum",
    [(10**400, None), (None, 10**400), (1e308, 10**4000)],
    ids=["minimum", "maximum", "both"],
)
def test_absurd_bounds_still_bind(minimum: Any, maximum: Any) -> None:
    info = one(NUMBER, props={"minimum": minimum, "maximum": maximum})
    for value in (0, 10**399, 10**401, 10**4001, -1.5):
        if (minimum is None or minimum <= value) and (maximum is None or value <= maximum):
            assert encoded(info, value) == [value]
        else:
            with pytest.raises(ValueError, match=r"^parameter 'x' of /run takes a number"):
                encoded(info, value)


# --- JSON ---


class Scalar:
    """A number that is none to Python, as numpy's integers are."""

    def __int__(self) -> int:
        return 3

    def __index__(self) -> int:
        return 3

    def __float__(self) -> float:
        return 3.0

    def __repr__(self) -> str:
        return "int64(3)"


@pytest.mark.parametrize("schema", [NUMBER, INTEGER, {"type": "string"}, BOOLEAN])
def test_numpy_like_scalar_is_refused_clearly(schema: Any) -> None:
    with pytest.raises(TypeError, match=r"parameter 'x' of /run takes .*, not int64\(3\)"):
        encoded(one(schema), Scalar())


UNSENDABLE: dict[str, tuple[Any, type[Exception]]] = {
    "bytes": (b"a", TypeError),
    "a set": ({1}, TypeError),
    "an object": (object(), TypeError),
    "a path": (Path("a"), TypeError),
    "a scalar": (Scalar(), TypeError),
    "an object inside": ({"a": [1, {"b": object()}]}, TypeError),
    "a tuple as a key": ({(1, 2): 3}, TypeError),
    "NaN": (float("nan"), ValueError),
    "infinity": (float("inf"), ValueError),
    "NaN inside": ([{"a": [float("nan")]}], ValueError),
    "a lone surrogate": ("a\ud800", ValueError),
    "a lone surrogate as a key": ({"\udfff": 1}, ValueError),
    "too deep": (nested(100_000), ValueError),
    "a huge number": (10**5000, ValueError),
}


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("value, error", UNSENDABLE.values(), ids=UNSENDABLE)
def test_non_json_is_refused_by_name(value, error, validate):
    info = endpoint(parameter("other", ANY), parameter("x", ANY))
    with pytest.raises(error, match=r"^parameter 'x' of /run can't be sent as JSON: ") as caught:
        info.encode((1, value), {}, validate=validate)
    assert len(str(caught.value)) < 600
    assert caught.value.__cause__ is None


def test_a_value_that_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="'x' of /run can't be sent as JSON"):
        encoded(one(ANY), value)


def test_characters_of_surrogate_pair_are_not_one() -> None:
    assert encoded(one(ANY), "\U0001f600") == ["\U0001f600"]
    with pytest.raises(ValueError, match="'x' of /run"):
        encoded(one(ANY), "\ud83d\ude00")


@checked
@given(st.lists(json_values, max_size=4))
def test_any_json_arrives_as_it_is(values: list[Any]) -> None:
    info = endpoint(STATE, *(parameter(f"p{place}", ANY) for place in range(len(values))))
    sent = info.encode(tuple(values), {}, validate=True)
    assert json.loads(sent) == [None, *values]
    assert json.loads(sent.encode()) == [None, *values]
    assert "\n" not in sent


def test_what_the_caller_changes_later_changes_nothing() -> None:
    value = {"a": [1]}
    sent = one(ANY).encode((value,), {}, validate=True)
    value["a"].append(2)
    value["b"] = [3]
    assert json.loads(sent) == [{"a": [1]}]


def test_arguments_are_left_as_they_were() -> None:
    value = {"a": [1, (2, 3)]}
    encoded(one(ANY), value)
    assert value == {"a": [1, (2, 3)]}


# --- What the real Gradio takes ---


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Return what the components of the installed Gradio say, by name."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", gradio_components.__file__],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def described_by(told: dict[str, Any], name: str) -> EndpointInfo:
    return AppInfo(told[name]["config"], told[name]["info"]).find("/run", None)


components = pytest.mark.parametrize("name", [*gradio_components.COMPONENTS])


def is_of_the_kind(kind: str | None, value: Any) -> bool:
    """Tell whether a value is what the app says of its type, read generously."""
    if kind == "string":
        return isinstance(value, (str, int, float))
    if kind in ("number", "integer"):
        return isinstance(value, (int, float))
    if kind == "boolean":
        return isinstance(value, int)
    return isinstance(value, list) if kind == "array" else True


@pytest.mark.full
@pytest.mark.real
@components
def test_nothing_is_refused_that_gradio_takes(told: dict[str, Any], name: str) -> None:
    """But for clear mistakes: Gradio hands a list on as the text of a text box."""
    info = described_by(told, name)
    kind = info.parameters[0].kind
    wrong = []
    for value, taken in zip(gradio_components.VALUES, told[name]["takes"], strict=True):
        if taken and (value is None or is_of_the_kind(kind, value)):
            try:
                encoded(info, value, None)
            except (TypeError, ValueError) as exc:
                wrong.append((value, str(exc)))
    assert not wrong


@pytest.mark.full
@pytest.mark.real
@components
def test_what_app_itself_suggests_is_never_refused(told: dict[str, Any], name: str) -> None:
    info = described_by(told, name)
    only = info.parameters[0]
    choices = [[choice] if only.kind == "array" else choice for choice in only.choices or ()]
    for value in (only.default, told[name]["example"], *choices):
        assert encoded(info, value, None) == [value, None]


@pytest.mark.real
def test_parameters_may_share_a_name(told: dict[str, Any]) -> None:
    assert encoded(described_by(told, "name clash"), "a", "b") == ["a", "b"]


@pytest.mark.real
@pytest.mark.parametrize(
    "name, value",
    [
        ("Number", "1"),
        ("Number with bounds", 11),
        ("Slider", 11),
        ("Slider", "1"),
        ("Radio", "zzz"),
        ("Radio of numbers", "1"),
        ("Dropdown", "zzz"),
        ("Dropdown of several", ["zzz"]),
        ("CheckboxGroup", ["zzz"]),
        ("CheckboxGroup of numbers", ["1"]),
        ("Checkbox", "no"),
        ("Textbox", ["a"]),
        ("Dropdown of several", "a"),
        ("Chatbot", "hi"),
        ("Gallery", "a.png"),
        ("Files", "a.txt"),
        ("Files", ["a.txt"]),
        # These fail on the server; the description has what it takes to say so here.
        ("File", "a.txt"),
        ("Dataframe", [["x"]]),
        ("MultimodalTextbox", "hi"),
    ],
)
def test_clear_mistakes_are_refused_here(told: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^parameter 'first' of /run takes"):
        encoded(described_by(told, name), value, None)


def test_numpy_scalars() -> None:
    numpy = pytest.importorskip("numpy")
    info = one(NUMBER, props={"minimum": 0, "maximum": 10})
    assert encoded(info, numpy.float64(3.5)) == [3.5]  # a float
    for scalar in (numpy.int64(3), numpy.float32(3), numpy.array(3), numpy.array([3])):
        with pytest.raises(TypeError, match="parameter 'x' of /run takes a number, not"):
            encoded(info, scalar)
    for array in (numpy.array([1, 2]), [numpy.int64(1)]):
        with pytest.raises(TypeError, match="parameter 'x' of /run"):
            encoded(one(ARRAY), array)


# --- What it costs ---


def doubled(n: int) -> dict[str, Any]:
    """Let each of n definitions refer to the next one twice."""
    ways = {f"D{i}": {"oneOf": [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(n)}
    return {"$ref": "#/$defs/D0", "$defs": {**ways, f"D{n}": FILE_SCHEMA}}


def alternatives(n: int) -> dict[str, Any]:
    """Let each of n definitions be one of the alternatives."""
    ways = [{"$ref": f"#/$defs/D{i}"} for i in range(n)]
    return {**doubled(n), "items": {"oneOf": ways}}


@pytest.mark.parametrize(
    "make",
    [
        doubled,
        alternatives,
        lambda n: {"enum": list(range(n))},
        lambda n: {"type": "array", "items": {"enum": [f"choice {i}" for i in range(n)]}},
    ],
    ids=["definitions", "alternatives", "choices", "choices of a list"],
)
def test_a_parameter_is_read_in_linear_time(make: Callable[[int], Any]) -> None:
    assert_linear(lambda n: partial(Parameter.from_info, "x", 0, parameter("x", make(n)), {}), 100)


@pytest.mark.parametrize(
    "definitions, is_file",
    [
        ({"A": {"$ref": "#/$defs/A"}}, False),
        ({"A": {"oneOf": [{"$ref": "#/$defs/A"}] * 2}}, False),
        ({"A": {"oneOf": [{"$ref": "#/$defs/B"}]}, "B": {"oneOf": [{"$ref": "#/$defs/A"}]}}, False),
        ({"A": {"oneOf": [{"$ref": "#/$defs/A"}, FILE_SCHEMA]}}, True),
        ({"A": {"oneOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/A"}]}, "B": FILE_SCHEMA}, True),
    ],
)
def test_schema_that_refers_to_itself_is_read(definitions: Any, is_file: bool) -> None:
    for schema in (
        {"$ref": "#/$defs/A", "$defs": definitions},
        {"items": {"$ref": "#/$defs/A"}, "$defs": definitions},
    ):
        assert one(schema).parameters[0].takes_files == is_file


def test_many_arguments_are_bound_in_linear_time() -> None:
    def make(n: int) -> Callable[[], object]:
        info = endpoint(*(parameter(f"p{i}") for i in range(n)))
        return partial(encoded, info, **{f"p{i}": "x" for i in range(n)})

    assert_linear(make, 100)


class Compared(str):
    """Text that counts how often it is compared with another."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str(self) == other

    def __hash__(self) -> int:
        return hash(str(self))


def test_each_value_is_compared_with_few_choices() -> None:
    texts = [f"choice {i}" for i in range(300)]
    info = one({"type": "array", "items": {"enum": [*map(Compared, texts)]}})
    Compared.times = 0
    assert encoded(info, texts) == [texts]
    assert 300 <= Compared.times < 2000


@pytest.mark.parametrize("choices", [[["a"]], [{"a": 1}], ["a", ["b"]]])
def test_empty_choices_are_none(choices: list[Any]) -> None:
    info = one({"type": "array", "items": {"enum": choices}})
    assert info.parameters[0].choices is None
    assert encoded(info, [["a"], {"a": 1}, "c"]) == [[["a"], {"a": 1}, "c"]]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, ([],)])
def test_what_has_no_hash_is_no_choice(value: Any) -> None:
    with pytest.raises(ValueError, match="takes one of"):
        encoded(one(CHOICES), [value])
