"""Arguments are checked where they are passed, and before anything is sent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.servers.scripted import ScriptedServer
from tests.support.opening import new_client
from tests.support.sessions import opened
from triojob import JobGroup
from triojob.testing.components import (
    button,
    checkbox,
    checkboxgroup,
    dropdown,
    json_value,
    number,
    slider,
    state,
    textbox,
)

EMPTY = inspect.Parameter.empty


def add_form(server: ScriptedServer) -> None:
    """Add a function that takes one of each, and hidden ones in between."""
    server.app.add(
        "form",
        inputs=[
            state("kept"),
            textbox("text"),
            number("n", 3),
            button("go"),
            slider("level", 0, 10, 5),
            dropdown("color", ["red", "green"], "green"),
            dropdown("free", ["a", "b"], "a", allow_custom_value=True),
            checkbox("flag", value=True),
            checkboxgroup("picks", ["one", "two"], ["one"]),
            json_value("any"),
        ],
        outputs=[json_value(str(index)) for index in range(10)],
        optional=["any"],
    )


DEFAULTS = [None, "text", 3, None, 5, "green", "a", True, ["one"], None]


async def test_the_signature_is_that_of_the_app(memory_app: ScriptedServer) -> None:
    add_form(memory_app)
    async with opened(memory_app) as client:
        parameters = inspect.signature(client.endpoint("/form")).parameters
    assert list(parameters) == ["text", "n", "level", "color", "free", "flag", "picks", "any"]
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert [p.default for p in parameters.values()] == [
        *(EMPTY, 3, 5, "green", "a", True, ["one"], None)
    ]
    assert [p.annotation for p in parameters.values()] == [
        "str",
        "float",
        "float",
        "Literal['red', 'green']",
        "Literal['a', 'b']",
        "bool",
        "list[Literal['one', 'two']]",
        "str | float | bool | list | dict",
    ]


async def test_required_parameter_may_come_after_optional_ones(memory_app):
    """As in an app it may; of Python's functions, none has that."""
    memory_app.app.add("late", inputs=[textbox("first", "x"), "second"])
    async with opened(memory_app) as client:
        late = client.endpoint("/late")
        parameters = inspect.signature(late).parameters
        assert parameters["first"].default == "x"
        assert repr(parameters["second"].default) == "<required>"
        assert str(inspect.signature(late)) == "(first: 'str' = 'x', second: 'str' = <required>)"
        with pytest.raises(TypeError, match="misses 'second'"):
            await late()
        assert await late(second="y") == "x"


async def test_arguments_bind_by_position_name_and_default(memory_app):
    add_form(memory_app)
    async with opened(memory_app) as client:
        form = client.endpoint("/form")
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
            (("text",), {}),
            ((), {"text": "text"}),
            (("text", 3, 5, "green", "a", True, ["one"], None), {}),
            (("text", 3), {"any": None, "picks": ["one"]}),
        ]
        for args, kwargs in calls:
            await form(*args, **kwargs)
            await client.predict(*args, api_name="/form", **kwargs)
            await client.submit(*args, api_name="/form", **kwargs).wait()
    assert [join["data"] for join in memory_app.joins] == [DEFAULTS] * 12


Wrong = tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]

UNBOUND: list[Wrong] = [
    ((), {}, TypeError, r"/form\(text, n, .*\) misses 'text'"),
    ((), {"n": 1}, TypeError, "misses 'text'"),
    (("t",), {"nn": 1}, TypeError, "has no parameter 'nn'; did you mean 'n'"),
    (("t",), {"xyz": 1}, TypeError, r"has no parameter 'xyz'$"),
    # Hidden ones can't be given.
    (("t",), {"state": 1}, TypeError, "has no parameter 'state'"),
    (("t",), {"go": 1}, TypeError, "has no parameter 'go'"),
    (("t",), {"text": "u"}, TypeError, "got parameter 'text' twice"),
    (("t", 1, 1, "red", "a", True, [], None, 9), {}, TypeError, "takes 8 arguments, but 9 were"),
]
UNSENDABLE: list[Wrong] = [
    (("t",), {"any": object()}, TypeError, "parameter 'any' of /form can't be sent as JSON"),
    (("t",), {"any": {1, 2}}, TypeError, "parameter 'any' of /form can't be sent as JSON"),
    (("t",), {"any": float("nan")}, ValueError, "parameter 'any' of /form can't be sent as JSON"),
    (("\ud800",), {}, ValueError, "parameter 'text' of /form can't be sent as JSON"),
]
REFUSED: list[Wrong] = [
    (([],), {}, TypeError, r"parameter 'text' of /form takes text, not \[\]"),
    (("t", "1"), {}, TypeError, "parameter 'n' of /form takes a number, not '1'"),
    (("t",), {"flag": "yes"}, TypeError, "parameter 'flag' of /form takes True or False"),
    (("t",), {"picks": "one"}, TypeError, "parameter 'picks' of /form takes a list, not 'one'"),
    (("t",), {"level": 11}, ValueError, "parameter 'level' .* from 0 up to 10, not 11"),
    (("t",), {"level": -0.5}, ValueError, "parameter 'level' .* from 0 up to 10, not -0.5"),
    (("t",), {"color": "blue"}, ValueError, r"'color' .* one of \['red', 'green'\], not 'blue'"),
    (("t",), {"picks": ["one", "x"]}, ValueError, r"'picks' .*\['one', 'two'\], not 'x'"),
]
CASES = ("args", "kwargs", "error", "words")


@pytest.mark.parametrize(CASES, [*UNBOUND, *UNSENDABLE, *REFUSED])
async def test_wrong_argument_is_named_and_not_sent(memory_app, args, kwargs, error, words):
    """By each way of calling; those that make a job raise before there is one."""
    add_form(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            form = surface.endpoint("/form")
            with pytest.raises(error, match=words):
                await form(*args, **kwargs)
            with pytest.raises(error, match=words):
                await surface.predict(*args, api_name="/form", **kwargs)
            with pytest.raises(error, match=words):
                surface.submit(*args, api_name="/form", **kwargs)
            assert surface.jobs == ()
            async with JobGroup() as group:
                with pytest.raises(error, match=words):
                    group.submit(form, *args, **kwargs)
                assert group.jobs == ()
        assert len(memory_app.requests) == 2
    assert memory_app.joins == []


async def test_plain_call_checks_when_it_is_awaited(memory_app: ScriptedServer) -> None:
    """As any async function, it does nothing before that."""
    add_form(memory_app)
    async with opened(memory_app) as client:
        awaitable = client.endpoint("/form")()
        with pytest.raises(TypeError, match="misses 'text'"):
            await awaitable


async def test_a_function_without_parameters(memory_app: ScriptedServer) -> None:
    memory_app.app.add("nothing", inputs=[state(), button("go")])
    async with opened(memory_app) as client:
        nothing = client.endpoint("/nothing")
        assert str(inspect.signature(nothing)) == "()"
        with pytest.raises(TypeError, match=r"/nothing\(\) takes 0 arguments, but 1 were given"):
            await nothing("a")
        with pytest.raises(TypeError, match=r"/nothing\(\) has no parameter 'a'"):
            await nothing(a="a")
        assert memory_app.joins == []
        await nothing()
        assert memory_app.joins[0]["data"] == [None, None]


@pytest.mark.parametrize("name", ["self", "fn", "args", "kwargs", "endpoint", "group", "timeout"])
async def test_parameter_may_be_called_what_app_likes(memory_app, name):
    memory_app.app.add("odd", inputs=[name])
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            odd = surface.endpoint("/odd")
            assert list(inspect.signature(odd).parameters) == [name]
            given = {name: "a"}
            assert await odd(**given) == "a"
            assert await surface.predict(api_name="/odd", **given) == "a"
            assert await surface.submit(api_name="/odd", **given).result() == "a"
            async with JobGroup() as group:
                assert await group.submit(odd, **given).result() == "a"


@pytest.mark.parametrize("name", ["api_name", "fn_index", "not a name", "class", "", "1st"])
async def test_impossible_argument_name_is_replaced(memory_app, name):
    memory_app.app.add(
        "odd", inputs=["a", "b"], outputs=["x", "y"], parameter_names=["first", name]
    )
    async with opened(memory_app) as client:
        assert list(inspect.signature(client.endpoint("/odd")).parameters) == ["first", "param_1"]
        assert await client.predict("a", param_1="b", api_name="/odd") == ("a", "b")


# --- Unchecked ---


async def test_unchecked_the_app_itself_decides(memory_app: ScriptedServer) -> None:
    """For apps that change what a component allows while they run."""
    add_form(memory_app)
    async with new_client(memory_app, validate=False) as client, client.session() as session:
        for surface in (client, session):
            await surface.predict("t", "1", 11, "blue", 5, "yes", "one", [], api_name="/form")
    for join in memory_app.joins:
        assert join["data"] == [None, "t", "1", None, 11, "blue", 5, "yes", "one", []]


@pytest.mark.parametrize(CASES, [*UNBOUND, *UNSENDABLE])
async def test_unchecked_call_must_still_make_sense(memory_app, args, kwargs, error, words):
    add_form(memory_app)
    async with new_client(memory_app, validate=False) as client:
        with pytest.raises(error, match=words):
            client.submit(*args, api_name="/form", **kwargs)
    assert memory_app.joins == []


# --- What is sent ---


async def test_arguments_are_taken_when_they_are_passed(memory_app: ScriptedServer) -> None:
    memory_app.app.add("echo", inputs=[json_value("any")], outputs=[json_value("out")])
    async with opened(memory_app) as client:
        value = {"list": [1]}
        job = client.submit(value, api_name="/echo")
        value["list"].append(2)
        assert await job.result() == {"list": [1]}
        assert value == {"list": [1, 2]}
