"""No app gets code of its own into a module, whatever it calls its things."""

from __future__ import annotations

import ast
import builtins
import json
import keyword
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.steps import steps
from tests.support.stubs import TEXT, app, described, loaded, output, parameter, write
from triojob.gradio.schema import stubs, types
from triojob.gradio.schema.app import AppInfo

RAN = "ran_what_the_app_said"
MODULES = ("__future__", "collections.abc", "typing", "triojob", "triojob.stubs")
EVIL = [
    f'"""\nimport builtins; builtins.{RAN} = 1\n"""',
    f"'''\nimport builtins; builtins.{RAN} = 1\n'''",
    f'x"); __import__("builtins").{RAN} = 1; ("',
    f'x\\"""\n__import__(\'builtins\').{RAN} = 1\n',
    f"x\r__import__('builtins').{RAN} = 1",
    f"x\x0c__import__('builtins').{RAN} = 1\u2028__import__('builtins').{RAN} = 1",
    f"]\n__import__('builtins').{RAN} = 1",
    f"{{__import__('builtins').{RAN}}}",
    "\\",
    '"',
    '""',
    '"""',
    '\\"""',
    "\\N{DIGIT ONE}",
    "\x00\ud800\U0010ffff",
    "\u202etext\u202c",
    "# type: ignore",
    "",
    " ",
]


def nothing_ran(text: str) -> None:
    with loaded(text):
        assert not hasattr(builtins, RAN)


KINDS = (
    *(ast.Module, ast.Expr, ast.ImportFrom, ast.alias, ast.ClassDef, ast.AnnAssign, ast.Assign),
    *(ast.AsyncFunctionDef, ast.arguments, ast.arg, ast.Raise, ast.Pass, ast.Call, ast.keyword),
    *(ast.Name, ast.Constant, ast.Subscript, ast.Tuple, ast.Dict, ast.BinOp, ast.BitOr),
    *(ast.Load, ast.Store),
)
"""All the code that a module may consist of."""


def only_what_we_write(text: str) -> None:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        assert isinstance(node, KINDS), ast.dump(node)
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) in ("TypedDict", "endpoint")
        if isinstance(node, ast.ImportFrom):
            assert node.module in MODULES
        if isinstance(node, ast.AsyncFunctionDef):
            assert len(node.body) == 2


def everywhere(word: Any) -> str:
    """Write the module of an app that says this wherever an app says something."""
    choices = {"type": "string", "enum": [word, "other"]}
    typed = {
        "title": word,
        "type": "object",
        "properties": {str(word): TEXT, "b": {"const": word}, "c": {"enum": [word]}},
        "required": [word],
    }
    inputs = [
        parameter(word, choices, label=word, component=word, parameter_default=word),
        parameter("x", {"$defs": {str(word): typed}, "$ref": f"#/$defs/{word}"}),
        parameter("y", {"type": word, "description": word, "title": word}),
        parameter("z", {"anyOf": [typed, word]}, parameter_default={word: word}),
    ]
    endpoint = described(
        *inputs,
        returns=[output(typed, label=word, component=word)],
        description=word,
        props=[{"minimum": word, "maximum": word, "allow_custom_value": False}] * 4,
    )
    names = {str(word): endpoint} if word else {}
    return write(app({**names, "fine": endpoint}, title=word), f"http://app/{word}")


@pytest.mark.parametrize("word", EVIL)
def test_what_an_app_says_is_never_code(word: str):
    text = everywhere(word)
    nothing_ran(text)
    only_what_we_write(text)
    text.encode()  # no half characters


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=12) | st.sampled_from(EVIL).flatmap(lambda x: st.text().map(x.__add__)))
def test_whatever_app_says_module_is_one(word: str):
    text = everywhere(word)
    nothing_ran(text)
    only_what_we_write(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("a\"\\\n\r\t '\x85\u2028é{}#"), max_size=20))
def test_a_docstring_says_what_the_app_said(words: str):
    text = write(app({"fn": described(description=words)}))
    function = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef))
    lines = [line.rstrip() for line in words.strip().splitlines()] or ["Call /fn."]
    told = (ast.get_docstring(function, clean=False) or "").split("\n")
    assert [line.strip() for line in told[: len(lines)]] == [line.strip() for line in lines]


@pytest.mark.parametrize(
    "name", [*keyword.kwlist, "__debug__", "self", "_self", "__x", "ﬁ", "a b", "日本語", ""]
)
def test_parameter_has_its_name_or_number(name: str):
    text = write(app({"fn": described(parameter(name), parameter("other"))}))
    nothing_ran(text)
    function = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef))
    own, first, other = (argument.arg for argument in function.args.args)
    good = name in ("self", "_self", "__x", "日本語")
    assert (first, other) == (name if good else "param_0", "other")
    assert own == ("self_" if name == "self" else "self")


@pytest.mark.parametrize(
    "names, shown",
    [
        (["self", "self_"], ["self__", "self", "self_"]),
        (["__x", "_App__x"], ["self", "__x", "_App__x_"]),
        (["_App__x", "__x", "__x__"], ["self", "_App__x", "__x_", "__x__"]),
    ],
)
def test_names_equal_to_python_stay_apart(names: list[str], shown: list[str]):
    text = write(app({"fn": described(*map(parameter, names))}))
    nothing_ran(text)
    function = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef))
    assert [argument.arg for argument in function.args.args] == shown


@pytest.mark.parametrize(
    "name, method",
    [
        ("predict", "predict"),
        ("chat/v2", "chat_v2"),
        ("class", "class_"),
        ("None", "None_"),
        ("match", "match"),
        ("list", "list_"),
        ("Literal", "Literal_"),
        ("App", "App_"),
        ("endpoint", "endpoint_"),
        ("files", "files_"),
        ("2d", "call_2d"),
        ("__init__", "call__init"),
        ("__class__", "call__class"),
        ("_endpoints", "call_endpoints"),
        ("日本語", "日本語"),
        ("ﬁle", "file"),
        ("!?", "endpoint_"),
        ("-", "endpoint_"),
    ],
)
def test_method_has_name_that_python_takes(name: str, method: str):
    text = write(app({name: described()}))
    (function,) = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef))
    assert function.name == method


def test_names_that_become_the_same_get_numbers():
    text = write(app({name: described() for name in ("a-b", "a_b", "a.b", "a_b_2")}))
    methods = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef)]
    assert methods == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]


def test_equal_names_get_numbers():
    kinds = [
        {"title": title, "type": "object", "properties": {key: TEXT}}
        for title, key in (("Any", "a"), ("any", "b"), ("App", "c"), ("Point", "d"), ("Point", "e"))
    ]
    text = write(app({"Point_3": described(returns=[output(kind) for kind in kinds])}))
    classes = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ClassDef)]
    assert classes == ["Any_2", "Value_any", "App_2", "Point", "Point_2", "App"]
    nothing_ran(text)


def test_odd_keys_are_quoted():
    odd = {
        "title": "Odd",
        "type": "object",
        "properties": {"a-b": TEXT, "class": TEXT, "str": TEXT, "__x": TEXT, "Odd": TEXT},
        "required": ["a-b"],
    }
    text = write(app({"fn": described(returns=[output(odd)])}))
    with loaded(text) as module:
        assert set(module.Odd.__annotations__) == set(odd["properties"])
        assert (module.Odd.__required_keys__, len(module.Odd.__optional_keys__)) == ({"a-b"}, 4)


def test_no_secret_of_url_is_in_module():
    text = write(
        app({"fn": described()}), "https://ada:s3cret@app.example/one/?__sign=s3cret#s3cret"
    )
    assert "s3cret" not in text
    assert "ada" not in text
    assert "triojob stubs https://app.example/one/\n" in text


def test_the_same_app_has_the_same_module():
    first, second = (everywhere("same") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "name", ["a b", "class", "__debug__", "", "Any", "str", "TypedApp", "x: int", "ﬁ"]
)
def test_class_has_name_that_hides_nothing(name: str):
    with pytest.raises(ValueError, match="class_name"):
        write(app({}), class_name=name)


# --- What a module costs ---


def titled(title: str, *names: str) -> dict[str, Any]:
    return {"title": title, "type": "object", "properties": dict.fromkeys(names, TEXT)}


def returning(schema: Any) -> dict[str, dict[str, Any]]:
    return {"fn": described(parameter("x", schema), returns=[output(schema)])}


def referring(refs: list[str], **definitions: Any) -> dict[str, dict[str, Any]]:
    ways = [{"$ref": f"#/$defs/{name}"} for name in refs]
    return returning({"$defs": definitions, "anyOf": ways})


def doubled(n: int, key: str, kind: str = "array") -> dict[str, dict[str, Any]]:
    """Let each of n definitions refer to the next one twice."""
    twice = {f"D{i}": {"type": kind, key: [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(n)}
    return referring(["D0"], **twice, **{f"D{n}": TEXT})


def cycle(n: int) -> dict[str, dict[str, Any]]:
    """Let each of n definitions refer to all of them."""
    refs = [{"$ref": f"#/$defs/D{i}"} for i in range(n)]
    every = {f"D{i}": {"type": "array", "prefixItems": refs} for i in range(n)}
    return referring(["D0"], **every)


LARGE: dict[str, Callable[[int], dict[str, dict[str, Any]]]] = {
    "references to one object": lambda n: referring(
        ["B"] * n, B=titled("B", *(f"p{i}" for i in range(n)))
    ),
    "references to one choice": lambda n: returning(
        {
            "$defs": {"C": {"enum": [f"choice {i}" for i in range(n)]}},
            "type": "array",
            "prefixItems": [{"$ref": "#/$defs/C"}] * n,
        }
    ),
    "objects of one title": lambda n: returning(
        {"anyOf": [titled("V", f"p{i}") for i in range(n)]}
    ),
    "members of a union": lambda n: returning(
        {"anyOf": [titled(f"V{i}", f"p{i}") for i in range(n)]}
    ),
    "kinds of one object": lambda n: returning(
        {**titled("V", *(f"p{i}" for i in range(n))), "type": ["object"] * n}
    ),
    "endpoints of one name": lambda n: {f"a{chr(0x2500 + i)}": described() for i in range(n)},
    "parameters of one name": lambda n: {"fn": described(*[parameter("x")] * n)},
    "choices": lambda n: returning({"enum": [f"choice {i}" for i in range(n)]}),
    "a file at the end of references": lambda n: referring(
        [f"D{i}" for i in range(n)],
        **{f"D{i}": {"oneOf": [{"$ref": f"#/$defs/D{i + 1}"}]} for i in range(n)},
        **{f"D{n}": titled("FileData", "path", "orig_name")},
    ),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_a_module_takes_linear_time(make: Any, monkeypatch: pytest.MonkeyPatch):
    """In Python's steps, in characters of JSON that are made on the way, and in its own."""
    encoded = 0

    def dumps(value: Any, **options: Any) -> str:
        nonlocal encoded
        text = json.dumps(value, **options)
        encoded += len(text)
        return text

    for module in (types, stubs):
        monkeypatch.setattr(module, "json", SimpleNamespace(dumps=dumps))
    costs: list[list[int]] = []
    for n in (60, 120):
        encoded, info, text = 0, app(make(n)), ""

        def work(info: AppInfo = info) -> None:
            nonlocal text
            text = write(info)

        costs.append([steps(work), encoded, len(text)])
        nothing_ran(text)
    for once, twice in zip(*costs, strict=True):
        assert twice <= 2.5 * once


ENDLESS: dict[str, dict[str, dict[str, Any]]] = {
    "a reference to itself": referring(["A"], A={"$ref": "#/$defs/A"}),
    "a file that may be itself": referring(["A"], A={"oneOf": [{"$ref": "#/$defs/A"}] * 2}),
    "a pair of pairs of itself": doubled(0, "prefixItems")
    | referring(["A"], A={"type": "array", "prefixItems": [{"$ref": "#/$defs/A"}] * 2}),
    "all refer to all": cycle(60),
    "twice the next, a hundred times": doubled(100, "prefixItems"),
    "twice the next as alternatives": doubled(100, "oneOf", "string"),
    "a chain of a thousand references": referring(
        ["D0"], **{f"D{i}": {"$ref": f"#/$defs/D{i + 1}"} for i in range(1000)}
    ),
    "a union in each member of a union": returning(
        json.loads('{"anyOf": [{"type": "array", "items": ' * 20 + "{}" + '}, {"const": 1}]}' * 20)
    ),
}


@pytest.mark.parametrize("endpoints", ENDLESS.values(), ids=ENDLESS)
def test_type_without_end_has_one_in_module(endpoints: dict[str, dict[str, Any]]):
    text = ""

    def work() -> None:
        nonlocal text
        info = app(endpoints)
        text = write(info)
        with loaded(text) as module:
            # It is what it was: so no difference is looked for, and none is found.
            assert module.App.fn.difference(info.find("/fn", None)) is None
            module.App.fn.fingerprint = ""
            assert module.App.fn.difference(info.find("/fn", None))

    size = len(json.dumps(endpoints))
    assert steps(work) < 200_000 + 200 * size
    assert len(text) < 10_000 + 20 * size


def test_app_without_endpoints_has_empty_class():
    with loaded(write(app({}))) as module:
        assert issubclass(module.App, module.TypedApp)
