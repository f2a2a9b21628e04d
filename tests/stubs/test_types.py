"""From what an app says of its values to types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.stubs import app, described, header, output, parameter, signature, write
from triojob.gradio.schema.app import AppInfo
from triojob.testing.components import FILE_SCHEMA

TRACES = Path(__file__).parent.parent / "servers" / "traces"
PAIR = {"prefixItems": [{"type": "string"}, {"type": "integer"}], "type": "array"}
TREE = {
    "$defs": {
        "Tree": {
            "title": "Tree",
            "type": "object",
            "properties": {"branches": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
            "required": ["branches"],
        }
    },
    "$ref": "#/$defs/Tree",
}


@pytest.mark.parametrize(
    "schema, given, returned",
    [
        ({"type": "string"}, "str", "str"),
        ({"type": "number"}, "float", "float"),
        ({"type": "integer"}, "int", "int"),
        ({"type": "boolean"}, "bool", "bool"),
        ({"type": {}}, "Any", "Any"),
        ({}, "Any", "Any"),
        ("nonsense", "Any", "Any"),
        ({"type": ["string", "null"]}, "str | None", "str | None"),
        ({"type": "string", "enum": ["a", "b"]}, "Literal['a', 'b']", "str"),
        ({"type": "string", "enum": [1, "b"]}, "Literal[1, 'b']", "int | str"),
        ({"type": "string", "enum": [0.5, "b"]}, "float | str", "float | str"),
        ({"type": "string", "enum": []}, "str", "str"),
        ({"type": "string", "enum": ["x"] * 2}, "Literal['x']", "str"),
        ({"const": "a"}, "Literal['a']", "str"),
        ({"type": "array", "items": {"type": "integer"}}, "Sequence[int]", "list[int]"),
        ({"type": "array"}, "Sequence[Any]", "list[Any]"),
        ({"type": "array", "items": {"enum": ["a"]}}, "Sequence[Literal['a']]", "list[str]"),
        (PAIR, "tuple[str, int]", "list[str | int]"),
        ({"type": "object"}, "dict[str, Any]", "dict[str, Any]"),
        (
            {"type": "object", "additionalProperties": {"type": "number"}},
            "dict[str, float]",
            "dict[str, float]",
        ),
        (
            {"anyOf": [{"type": "null"}, {"type": "number"}, {"type": "string"}]},
            "float | str | None",
            "float | str | None",
        ),
        ({"anyOf": [{"type": "null"}, {}]}, "Any", "Any"),
        (FILE_SCHEMA, "FileInput", "str"),
        ({"type": "array", "items": FILE_SCHEMA}, "Sequence[FileInput]", "list[str]"),
    ],
)
def test_a_schema_is_a_type(schema: Any, given: str, returned: str):
    shown = signature(parameter(schema=schema), returns=[output(schema)])
    assert shown == f"(self, x: {given}) -> {returned}"


@pytest.mark.parametrize(
    "outputs, result",
    [
        ([], "tuple[()]"),
        ([output()], "str"),
        ([output(), output({"type": "number"})], "tuple[str, float]"),
    ],
)
def test_several_outputs_are_a_tuple(outputs: Any, result: str):
    assert signature(returns=outputs) == f"(self) -> {result}"


@pytest.mark.parametrize(
    "schema, default, shown",
    [
        ({"type": "string"}, "a'b", 'str="a\'b"'),
        ({"type": "string"}, None, "str | None=None"),
        ({"type": "string"}, "x" * 100, "str=DEFAULT"),
        ({"type": "number"}, 3, "float=3"),
        ({"type": "number"}, 0.5, "float=0.5"),
        ({"type": "number"}, float("inf"), "float=DEFAULT"),
        ({"type": "boolean"}, True, "bool=True"),
        ({"type": "string", "enum": ["a"]}, "a", "Literal['a']='a'"),
        ({"type": "string", "enum": ["a"]}, "b", "Literal['a']=DEFAULT"),
        ({"type": "string", "enum": [1]}, True, "Literal[1]=DEFAULT"),
        ({"type": "array", "items": {"type": "string"}}, ["a"], "Sequence[str]=['a']"),
        ({"type": "array", "items": {"type": "string"}}, [], "Sequence[str]=[]"),
        ({"type": "array", "items": {"type": "string"}}, [1], "Sequence[str]=DEFAULT"),
        ({"type": "array", "items": {"type": "string"}}, ["x"] * 50, "Sequence[str]=DEFAULT"),
        ({"type": "array", "items": {"type": "number"}}, [1, 0.5], "Sequence[float]=[1, 0.5]"),
        ({"type": "array", "items": {"type": "number"}}, [float("nan")], "Sequence[float]=DEFAULT"),
        ({"type": "array", "items": {"enum": ["]"]}}, ["]"], "Sequence[Literal[']']]=[']']"),
        ({"type": "array", "items": {"enum": ["a"]}}, ["b"], "Sequence[Literal['a']]=DEFAULT"),
        ({"type": "array"}, [{"a": 1}], "Sequence[Any]=DEFAULT"),
        ({"type": "object"}, {"a": 1}, "dict[str, Any]=DEFAULT"),
        ({"type": {}}, "a", "Any='a'"),
        # The app suggests what its own schema doesn't allow.
        ({"type": "number"}, "a", "Any='a'"),
    ],
)
def test_default_of_the_type_is_shown(schema: Any, default: Any, shown: str):
    found = signature(parameter(schema=schema, parameter_default=default))
    assert found == f"(self, x: {shown}) -> str"


@pytest.mark.parametrize(
    "component, kind",
    [("Textbox", "str | None"), ("Slider", "str"), ("Checkboxgroup", "str"), ("Custom", "str")],
)
def test_empty_components_give_none(component: str, kind: str):
    assert signature(parameter(component=component)) == f"(self, x: {kind}) -> str"


def test_required_after_optional_is_named():
    shown = signature(parameter("a", parameter_default="1"), parameter("b"), parameter("c"))
    assert shown == "(self, a: str='1', *, b: str, c: str) -> str"


def test_open_choice_is_no_literal():
    schema = {"type": "string", "enum": ["a", "b"]}
    free = described(parameter(schema=schema), props=[{"allow_custom_value": True}])
    assert header(write(app({"fn": free})), "fn") == "(self, x: str) -> str"


def test_kept_files_are_handles():
    many = {"type": "array", "items": FILE_SCHEMA}
    text = write(app({"fn": described(returns=[output(many)])}), files="handle")
    assert header(text, "fn") == "(self) -> list[File]"
    assert 'files = "handle"' in text
    assert "from triojob import File\n" in text


@pytest.mark.parametrize("streams, result", [(True, "str | File"), (False, "str")])
def test_streaming_sound_is_no_path(streams: bool, result: str):
    sound = described(returns=[output(FILE_SCHEMA, component="Audio")], streams=streams)
    assert header(write(app({"fn": sound})), "fn") == f"(self) -> {result}"


def test_recursive_definition_stays_recursive():
    text = write(app({"fn": described(returns=[output(TREE)])}))
    assert "class Tree(TypedDict):\n    branches: list[Tree]\n" in text


def test_what_app_gave_may_be_given_back():
    text = write(app({"fn": described(parameter(schema=TREE), returns=[output(TREE)])}))
    assert header(text, "fn") == "(self, x: TreeInput | Tree) -> Tree"


def test_equal_dictionary_is_defined_once():
    point = {"title": "Point", "type": "object", "properties": {"x": {"type": "number"}}}
    text = write(app({"fn": described(parameter(schema=point), returns=[output(point)])}))
    assert header(text, "fn") == "(self, x: Point) -> Point"
    assert text.count("class Point") == 1


def test_sent_and_accepted_defaults_differ():
    half = {
        "title": "Half",
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": ""}},
        "required": ["a"],
    }
    text = write(app({"fn": described(parameter(schema=half), returns=[output(half)])}))
    assert "class Half(TypedDict):\n    a: str\n    b: str\n" in text
    assert "class _HalfInputAlways(TypedDict):\n    a: str\n" in text
    assert "class HalfInput(_HalfInputAlways, total=False):\n    b: str\n" in text


def test_deep_or_large_schema_is_any():
    deep: Any = {"type": "string"}
    for _ in range(50):
        deep = {"type": "array", "items": deep}
    assert "Any" in signature(returns=[output(deep)])
    # Each of these stands for two of the next: a million types, if anybody wrote them all.
    wide = {
        "$defs": {
            f"d{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
            for i in range(40)
        },
        "$ref": "#/$defs/d0",
    }
    assert len(signature(parameter(schema=wide))) < 10**6
    endless = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 2}}, "$ref": "#/$defs/a"}
    assert signature(returns=[output(endless)]) == "(self) -> Any"


@pytest.mark.parametrize("folder", sorted(TRACES.glob("*")), ids=lambda folder: folder.name)
def test_apps_of_every_era_have_modules(folder: Path):
    config, info = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("config.json", "info.json")
    )
    text = write(AppInfo(config, info), all_endpoints=True)
    assert re.fullmatch(r"\(self, \w+: str \| None\) -> str", header(text, "greet"))
    assert re.fullmatch(r"\(self, \w+: FileInput \| None\) -> str", header(text, "upper_file"))
    assert re.fullmatch(
        r"\(self, \w+: float \| None, \w+: float \| None\) -> tuple\[float, float\]",
        header(text, "add"),
    )
