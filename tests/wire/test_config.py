"""An app's description: the recorded one, odd ones, and ones that no Gradio sends."""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.steps import assert_linear
from tests.wire.apps import (
    NUMBER,
    STATE,
    Description,
    endpoint,
    optional,
    parameter,
    recorded,
    returned,
)
from tests.wire.strategies import checked, json_values
from triojob import EndpointMismatch, EndpointNotFound, ProtocolError, TriojobError
from triojob.gradio.protocol.messages import Json
from triojob.gradio.schema.app import AppInfo, EndpointInfo
from triojob.gradio.schema.view import describe_app

# --- The recorded app ---


@pytest.fixture(scope="module")
def app() -> AppInfo:
    return AppInfo(*recorded())


def test_the_app(app: AppInfo) -> None:
    assert (app.version, app.protocol, app.api_prefix) == ("6.31.0", "sse_v3", "/gradio_api")
    assert app.title == "compat lab"
    assert app.names() == (
        *("/greet", "/add", "/count", "/tokens", "/slow"),
        *("/fail", "/fail_hard", "/upper_file", "/bump"),
    )
    assert app.names(all_endpoints=True) == app.names()


SIGNATURES = [
    # name, fn_index, parameters, shown outputs, streams, stateful
    ("/greet", 0, ["name"], (0,), False, False),
    ("/add", 1, ["a", "b"], (0, 1), False, False),
    ("/count", 2, ["n"], (0,), True, False),
    ("/tokens", 3, ["n"], (0,), True, False),
    ("/slow", 4, ["seconds"], (0,), False, False),
    ("/fail", 5, [], (0,), False, False),
    ("/fail_hard", 6, [], (0,), False, False),
    ("/upper_file", 7, ["f"], (0,), False, False),
    ("/bump", 8, [], (1,), False, True),
]


@pytest.mark.parametrize("name, fn_index, parameters, shown, streams, stateful", SIGNATURES)
def test_its_endpoints(app, name, fn_index, parameters, shown, streams, stateful):
    info = app.find(name, None)
    assert info == app.find(name.removeprefix("/"), None) == app.find(None, fn_index)
    assert info.name == info.api_name == name
    assert info.fn_index == fn_index
    assert info.visibility == "public"
    assert [parameter.name for parameter in info.parameters] == parameters
    assert [*info.signature.parameters] == parameters
    assert info.shown_outputs == shown
    assert len(info.returns) == len(shown)
    assert info.streams is streams
    assert info.stateful is stateful
    assert info.description == ""


def test_hidden_state_in_and_out(app: AppInfo) -> None:
    bump = app.find("/bump", None)
    assert bump.input_count == 1
    assert bump.encode((), {}, validate=True) == "[null]"
    assert bump.present([None, 3]) == 3
    with pytest.raises(TypeError, match="takes 0 arguments"):
        bump.encode((1,), {}, validate=True)


def test_js_only_functions_are_not_there(app: AppInfo) -> None:
    for fn_index in (9, 10):
        with pytest.raises(EndpointNotFound, match=f"no function with fn_index {fn_index}"):
            app.find(None, fn_index)
    for name in ("/unnamed", "/unnamed_1"):
        with pytest.raises(EndpointNotFound):
            app.find(name, None)


@pytest.mark.parametrize(
    "name, nearest",
    [("/gret", "/greet"), ("greets", "/greet"), ("/Add", "/add"), ("/fail-hard", "/fail_hard")],
)
def test_a_name_that_is_almost_right(app: AppInfo, name: str, nearest: str) -> None:
    with pytest.raises(EndpointNotFound, match=f"did you mean '{nearest}'") as caught:
        app.find(name, None)
    assert caught.value.nearest == nearest
    assert caught.value.available == app.names()
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize("name", ["", "/", "/zzzzzzzz", "//greet", "/greet/", "/greet ", "\u2028"])
def test_a_name_that_is_not_there(app: AppInfo, name: str) -> None:
    with pytest.raises(EndpointNotFound) as caught:
        app.find(name, None)
    for known in app.names():
        assert repr(known) in str(caught.value)


@pytest.mark.parametrize("fn_index", [-1, 11, 2**70])
def test_a_number_that_is_not_there(app: AppInfo, fn_index: int) -> None:
    with pytest.raises(EndpointNotFound) as caught:
        app.find(None, fn_index)
    assert caught.value.available == app.names()


def test_name_and_number_are_too_much(app: AppInfo) -> None:
    with pytest.raises(TypeError, match="not both"):
        app.find("/greet", 0)


def test_several_endpoints_and_none_named(app: AppInfo) -> None:
    with pytest.raises(EndpointNotFound, match=r"api_name=.*'/greet'.*'/bump'"):
        app.find(None, None)


# --- Which endpoint ---


def test_the_only_endpoint_needs_no_name() -> None:
    assert Description().add("run", []).app.find(None, None).name == "/run"


def test_the_only_public_endpoint_needs_no_name() -> None:
    made = Description().add("a", [], api_visibility="undocumented")
    made.add("b", [], api_visibility="private").add("c", [], backend_fn=False)
    assert made.add("run", []).app.find(None, None).name == "/run"


def test_predict_is_the_default_of_several() -> None:
    made = Description().add("run", []).add("predict", []).add("stop", [])
    assert made.app.find(None, None).name == "/predict"


def test_an_app_without_endpoints() -> None:
    app = Description().app
    assert app.names() == ()
    for name, fn_index in ((None, None), ("/run", None), (None, 0)):
        with pytest.raises(EndpointNotFound):
            app.find(name, fn_index)
    with pytest.raises(EndpointNotFound, match="no public endpoint"):
        app.find(None, None)


def test_undocumented_endpoints_are_found_unlisted() -> None:
    app = Description().add("run", []).add("quiet", [], api_visibility="undocumented").app
    assert app.names() == ("/run",)
    assert app.names(all_endpoints=True) == ("/run", "/quiet")
    assert app.find("quiet", None).visibility == "undocumented"


def test_private_endpoints_are_found_by_number_only() -> None:
    inputs = [parameter("secret", NUMBER, component="Number"), STATE]
    app = Description().add("run", []).add("hidden", inputs, api_visibility="private").app
    assert app.names(all_endpoints=True) == ("/run",)
    with pytest.raises(EndpointNotFound):
        app.find("/hidden", None)
    info = app.find(None, 1)
    # It is in no /info; the components tell what they take.
    (only,) = info.parameters
    assert (only.kind, only.label, only.required) == ("number", "label of secret", True)
    assert info.encode((3,), {}, validate=True) == "[3,null]"
    assert info.stateful
    with pytest.raises(TypeError, match="a number"):
        info.encode(("x",), {}, validate=True)


@pytest.mark.parametrize("name", [None, False])
def test_unnamed_endpoints_are_found_by_number_only(name: Any) -> None:
    app = Description().add("run", []).add(name, [parameter("x")]).app
    assert app.names(all_endpoints=True) == ("/run",)
    info = app.find(None, 1)
    assert info.api_name is None
    assert info.name == "fn_index 1"
    assert info.encode(("a",), {}, validate=True) == '["a"]'


def test_old_unnamed_endpoints_have_numbers() -> None:
    made = Description().add(None, [parameter("x")])
    made.info["unnamed_endpoints"]["0"] = {
        "parameters": [optional("told", "d")],
        "returns": [returned()],
    }
    (only,) = made.app.find(None, 0).parameters
    assert (only.name, only.default) == ("told", "d")


def test_number_is_id_without_position() -> None:
    made = Description().add("a", []).add("b", [])
    first, second = made.config["dependencies"]
    first["id"], second["id"] = 7, 3
    assert made.app.find("b", None).fn_index == 3
    assert made.app.find(None, 7).name == "/a"
    del first["id"], second["id"]
    assert made.app.find("b", None).fn_index == 1


def test_visibility_as_older_servers_put_it() -> None:
    made = Description().add("run", []).add("quiet", [])
    for dependency, shown in zip(made.config["dependencies"], (True, False), strict=True):
        del dependency["api_visibility"]
        dependency["show_api"] = shown
    assert made.app.names() == ("/run",)
    assert made.app.names(all_endpoints=True) == ("/run", "/quiet")


# --- Functions of one name ---

PUBLIC, QUIET, PRIVATE = "public", "undocumented", "private"


def same_name(*visibilities: str) -> Description:
    """Describe functions of one name: each takes one value more than the one before."""
    made = Description()
    for place, visibility in enumerate(visibilities):
        inputs = [optional(f"p{place}{n}", place) for n in range(place + 1)]
        made.add("run", inputs, api_visibility=visibility)
    return made.add("other", [parameter("x")])


@pytest.mark.parametrize(
    "visibilities, named, described",
    [
        ([PUBLIC, QUIET], 0, {0, 1}),
        ([QUIET, PUBLIC], 1, {1}),
        ([QUIET, PUBLIC, QUIET], 1, {1, 2}),
        ([PRIVATE, PUBLIC], 1, {1}),
        ([PUBLIC, PRIVATE], 0, {0}),
        ([PRIVATE, QUIET], 1, {1}),
        # Of two that are alike Gradio describes the last, and by the name it runs the first.
        ([PUBLIC, PUBLIC], 0, {1}),
        ([QUIET, QUIET, QUIET], 0, {2}),
        ([PUBLIC, QUIET, PUBLIC, QUIET], 0, {2, 3}),
    ],
)
def test_equal_names_have_own_parameters(visibilities, named, described):
    app = same_name(*visibilities).app
    assert app.find("run", None).fn_index == named == app.number_of("/run")
    for place, visibility in enumerate(visibilities):
        info = app.find(None, place)
        assert (info.visibility, len(info.parameters)) == (visibility, place + 1)
        # What is not described by /info has no names, and no default is another function's.
        names = [f"p{place}{n}" if place in described else f"param_{n}" for n in range(place + 1)]
        assert [p.name for p in info.parameters] == names
        assert {p.default for p in info.parameters} == {place if place in described else None}
    assert app.find("other", None).parameters[0].name == "x"
    assert len(app.endpoints(all_endpoints=True)) == 2


@pytest.mark.parametrize("visibilities", [[PUBLIC, QUIET], [QUIET, PUBLIC]])
def test_before_gradio_6_visibility_is_unknown(visibilities: list[str]) -> None:
    made = same_name(*visibilities)
    for item in (*made.config["dependencies"], made.info["named_endpoints"]["/run"]):
        shown = item.pop("api_visibility") == PUBLIC
        if "inputs" in item:
            item["show_api"] = shown
    app = made.app
    place = visibilities.index(PUBLIC)
    assert app.find("run", None).fn_index == place
    assert app.find("run", None).parameters[0].name == f"p{place}0"
    assert app.find(None, 1 - place).parameters[0].name == "param_0"


@pytest.mark.parametrize("slot", ["inputs", "outputs"])
def test_what_has_unknown_components_is_not_described(slot: str) -> None:
    """Gradio leaves it out, so the description is that of another one of the name."""
    made = same_name(PUBLIC, PUBLIC)
    first, last = made.config["dependencies"][:2]
    made.info["named_endpoints"]["/run"]["parameters"] = [optional("p00", 0)]
    last[slot][0] = 99_999
    assert [p.name for p in made.app.find(None, first["id"]).parameters] == ["p00"]
    assert [p.name for p in made.app.find(None, last["id"]).parameters] == ["param_0", "param_1"]


def test_functions_of_one_name_need_info_twice() -> None:
    assert not same_name(PUBLIC, PUBLIC).app.hides_public
    assert not same_name(QUIET, PUBLIC).app.hides_public
    assert not same_name(PUBLIC, PRIVATE).app.hides_public
    made = same_name(PUBLIC, QUIET)
    assert AppInfo(made.config, made.info).hides_public
    # Without the second there is nothing wrong, and no name.
    (only,) = AppInfo(made.config, made.info).find("run", None).parameters
    assert (only.name, only.required) == ("param_0", True)


def test_an_endpoint_is_described_once() -> None:
    app = same_name(PUBLIC).app
    assert app.find("run", None) is app.find(None, 0)


def test_components_that_many_functions_take_cost_little() -> None:
    """Each input names a component whose schema is long: the description of none is."""
    made = Description()
    made.add("hidden", [parameter("x", {"enum": [f"choice {i}" for i in range(200)]})])
    (hidden,) = made.config["dependencies"]

    def make(n: int) -> Callable[[], object]:
        described = copy.deepcopy(made)
        hidden["inputs"] = hidden["inputs"][:1] * n
        described.config["dependencies"] = [{**hidden, "api_visibility": PRIVATE}]
        return partial(described.app.find, None, 0)

    assert_linear(make, 50)
    long = Description().add("hidden", [parameter("x", {"enum": ["x" * 30_000]})])
    long.info["named_endpoints"].clear()
    assert long.app.find("hidden", None).parameters[0].choices is None


def test_an_app_is_read_in_linear_time() -> None:
    def make(n: int) -> Callable[[], object]:
        described = Description()
        for number in range(n):
            described.add(f"run{number % (n // 2)}", [parameter("x")])
        app = described.app
        return lambda: (AppInfo(app.config, app.info), app.endpoints(), app.find("run0", None))

    assert_linear(make, 40)


# --- Outputs ---


def test_what_users_see_of_an_output() -> None:
    one = endpoint(outputs=[returned()])
    assert one.present(["x"]) == "x"
    assert one.present([None]) is None
    assert one.present([["x"]]) == ["x"]
    two = endpoint(outputs=[returned("a"), returned("b")])
    assert two.present([1, 2]) == (1, 2)
    assert endpoint(outputs=[]).present([]) == ()
    assert endpoint(outputs=[STATE]).present([None]) == ()
    assert endpoint(outputs=[STATE, returned(), STATE]).present([None, 1, None]) == 1
    assert endpoint(outputs=[returned(), STATE, returned()]).present([1, None, 2]) == (1, 2)


def test_surplus_values_are_dropped() -> None:
    assert endpoint(outputs=[returned()]).present([1, 2, 3]) == 1


@pytest.mark.parametrize("data", [[], [1], [1, None]])
def test_too_few_values(data: list[Any]) -> None:
    info = endpoint(outputs=[returned(), STATE, returned()])
    with pytest.raises(ProtocolError, match="/run"):
        info.present(data)


# --- Signatures ---


def test_names_and_defaults() -> None:
    signature = endpoint(
        parameter("text"), optional("n", 3, NUMBER), optional("none", None)
    ).signature
    assert [*signature.parameters] == ["text", "n", "none"]
    assert signature.parameters["n"].default == 3
    assert signature.parameters["none"].default is None
    assert signature.parameters["text"].annotation == "str"
    assert all(
        parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        for parameter in signature.parameters.values()
    )


def test_a_required_parameter_has_no_default() -> None:
    signature = endpoint(parameter("a"), parameter("b"), optional("c", "d")).signature
    assert signature.parameters["a"].default is inspect.Parameter.empty
    assert signature.parameters["b"].default is inspect.Parameter.empty
    with pytest.raises(TypeError, match="'a'"):
        signature.bind()
    signature.bind("x", "y")


def test_required_parameter_may_follow_optional_one() -> None:
    info = endpoint(optional("a", 1), parameter("b"))
    assert "<required>" in str(info.signature)
    with pytest.raises(TypeError, match="misses 'b'"):
        info.encode((), {}, validate=True)
    assert info.encode((), {"b": "x"}, validate=True) == '[1,"x"]'


BAD_NAMES = ["", " ", "a b", "a-b", "1a", "class", "None", "a.b", "\u2028", "\ud800", None, 3, []]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_invalid_python_name_is_replaced(name: Any) -> None:
    info = endpoint(parameter("x"), parameter(name), parameter("y"))
    assert [*info.signature.parameters] == ["x", "param_1", "y"]
    assert info.encode(("a",), {"param_1": "b", "y": "c"}, validate=True) == '["a","b","c"]'


def test_a_missing_name_is_replaced() -> None:
    item = parameter("x")
    del item["parameter_name"]
    assert [*endpoint(item).signature.parameters] == ["param_0"]


@pytest.mark.parametrize(
    "names",
    [
        ["x", "x", "x"],
        ["param_1", ""],
        ["param_1", "param_1"],
        ["param_2", "param_2", "param_2", "param_0"],
        ["", "param_0"],
        ["", "param_0", "param_0", "param_2", "param_1"],
    ],
)
def test_no_two_parameters_have_one_name(names: list[str]) -> None:
    """Gradio itself names them so: of `f(param_1, fn_index)` it renames the second to `param_1`."""
    info = endpoint(*map(parameter, names))
    given = [parameter.name for parameter in info.parameters]
    assert len(set(given)) == len(names), given
    assert [*info.signature.parameters] == given
    values = [str(place) for place in range(len(names))]
    expected = json.dumps(values, separators=(",", ":"))
    assert info.encode(tuple(values), {}, validate=True) == expected
    by_name = dict(zip(given, values, strict=True))
    assert info.encode((), by_name, validate=True) == expected


def test_soft_keywords_and_unicode_are_names() -> None:
    names = ["match", "type", "self", "caf\u00e9", "\u5c71", "_"]
    assert [*endpoint(*map(parameter, names)).signature.parameters] == names


def test_descriptions() -> None:
    made = Description().add("a", []).add("b", [], api_description="of the dependency")
    made.info["named_endpoints"]["/a"]["description"] = "of the function"
    assert made.app.find("a", None).description == "of the function"
    assert made.app.find("b", None).description == "of the dependency"


# --- What no Gradio sends ---


def everything_about(config: Json, info: Json) -> None:
    """Ask all that a client asks of a description; documented errors of a call are fine."""
    app = AppInfo(config, info)
    found: list[EndpointInfo] = []
    names = app.names(all_endpoints=True)
    for name, fn_index in [
        (None, None),
        *((n, None) for n in names),
        *((None, n) for n in range(9)),
    ]:
        try:
            found.append(app.find(name, fn_index))
        except (ProtocolError, EndpointMismatch, EndpointNotFound):
            continue
    describe_app("http://localhost/", app, all_endpoints=True)
    for endpoint_info in found:
        str(endpoint_info.signature)
        for args in ((), ("a",), (1, 2), ({},)):
            try:
                data = endpoint_info.encode(args, {}, validate=True)
            except (TypeError, ValueError):
                continue
            assert len(json.loads(data)) == endpoint_info.input_count
        try:
            endpoint_info.present([None, 1])
        except ProtocolError:
            continue


def test_the_recorded_app_answers_all_questions() -> None:
    everything_about(*recorded())


def without(value: Any, *path: Any) -> Any:
    """Return a copy with what is at the path taken out."""
    value = copy.deepcopy(value)
    node = value
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return value


def changed(value: Any, junk: Any, *path: Any) -> Any:
    """Return a copy with something else at the path."""
    value = copy.deepcopy(value)
    node = value
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = copy.deepcopy(junk)
    return value


VITAL = [
    ("config", ["dependencies"]),
    ("config", ["components"]),
    ("config", ["dependencies", 0, "inputs"]),
    ("config", ["dependencies", 0, "outputs"]),
    ("info", ["named_endpoints"]),
    ("info", ["named_endpoints", "/greet", "parameters"]),
    ("info", ["named_endpoints", "/greet", "returns"]),
    ("info", ["named_endpoints", "/greet"]),
]


@pytest.mark.parametrize("junk", ["missing", None, 3, "x", True], ids=repr)
@pytest.mark.parametrize("which, path", VITAL)
def test_missing_essentials_are_protocol_errors(which, path, junk):
    if junk in ("missing", None) and path[-1] == "/greet":
        pytest.skip("Gradio leaves out endpoints whose components it can't find")
    described = dict(zip(("config", "info"), recorded(), strict=True))
    if junk == "missing":
        described[which] = without(described[which], *path)
    else:
        described[which] = changed(described[which], junk, *path)
    with pytest.raises(ProtocolError) as caught:
        AppInfo(**described).find("/greet", None)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("which", ["config", "info"])
def test_an_empty_description_is_a_protocol_error(which: str) -> None:
    described = dict(zip(("config", "info"), recorded(), strict=True))
    described[which] = {}
    with pytest.raises(ProtocolError, match="Gradio app"):
        AppInfo(**described)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_info_and_config_disagree_on_the_parameters(number: int) -> None:
    config, info = recorded()
    one = info["named_endpoints"]["/greet"]["parameters"]
    info["named_endpoints"]["/greet"]["parameters"] = one * number
    app = AppInfo(config, info)
    with pytest.raises(EndpointMismatch, match=f"/greet can't be called.* 1 .* {number};"):
        app.find("/greet", None)
    assert isinstance(app.endpoints()["/greet"], EndpointMismatch)
    assert "\n\n/greet\n  (/greet can't be called: " in describe_app(
        "http://app/", app, all_endpoints=False
    )


@pytest.mark.parametrize("junk", ["x", [1], None])
def test_senseless_endpoint_spares_others(junk: Any) -> None:
    config, info = recorded()
    info["named_endpoints"]["/greet"]["parameters"] = junk
    app = AppInfo(config, info)
    assert app.find("/add", None).name == "/add"
    found = app.endpoints()
    assert isinstance(found.pop("/greet"), ProtocolError)
    assert len(found) == 8
    assert all(isinstance(each, EndpointInfo) for each in found.values())


def paths_into(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        # The schemas of files are long, and nobody looks into them.
        if key not in ("$defs", "properties"):
            yield from paths_into(item, (*path, key))


JUNK: list[Any] = ["missing", None, -1, "x", {}]
MORE_JUNK: list[Any] = [
    *(float("nan"), [None]),
    *(True, False, 2**70, 10**400, 1.5, float("inf"), "", "state", "private"),
    *([], [[]], [{}], ["x"], {"type": "array"}),
]


@pytest.mark.parametrize(
    "junk",
    [*JUNK, *(pytest.param(junk, marks=pytest.mark.full) for junk in MORE_JUNK)],
    ids=lambda junk: repr(junk)[:20],
)
@pytest.mark.parametrize("which", ["config", "info"])
def test_single_fields_raise_only_our_errors(which: str, junk: Any) -> None:
    described = dict(zip(("config", "info"), recorded(), strict=True))
    whole = described[which]
    wrong: dict[str, str] = {}
    for path in paths_into(whole):
        if (
            path[0] in ("components", "dependencies")
            and len(path) > 1
            and path[1] not in (0, 2, 8, 10)
        ):
            continue
        if path[0] == "named_endpoints" and path[1:2] not in (
            (),
            ("/greet",),
            ("/add",),
            ("/bump",),
        ):
            continue
        if junk == "missing":
            described[which] = without(whole, *path)
        else:
            described[which] = changed(whole, junk, *path)
        try:
            everything_about(**described)
        except TriojobError:
            pass
        except Exception as exc:  # noqa: BLE001 - which exception it was is what the test shows
            wrong[".".join(map(str, path))] = repr(exc)
    assert not wrong


damages = st.lists(
    st.tuples(
        st.sampled_from(["config", "info"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([*JUNK, *MORE_JUNK]) | json_values,
    ),
    min_size=1,
    max_size=3,
)


# Without shrinking: the path that the error shows is short anyway.
@settings(checked, max_examples=200, phases=[Phase.generate])
@given(damages)
def test_damage_raises_only_our_errors(damage):
    described = dict(zip(("config", "info"), recorded(), strict=True))
    for which, where, junk in damage:
        paths = [*paths_into(described[which])]
        if not paths:
            continue  # all of it is damaged already
        path = paths[int(where * len(paths))]
        if junk == "missing":
            described[which] = without(described[which], *path)
        else:
            described[which] = changed(described[which], junk, *path)
    with contextlib.suppress(TriojobError):
        everything_about(**described)


@pytest.mark.parametrize("bound", [*JUNK, *MORE_JUNK], ids=lambda junk: repr(junk)[:20])
@pytest.mark.parametrize("which", ["minimum", "maximum"])
def test_bounds_raise_only_our_errors(which: str, bound: Any) -> None:
    made = Description().add("run", [parameter("n", NUMBER, props={which: bound})])
    everything_about(made.config, made.info)


@pytest.mark.parametrize(
    "component", [{}, {"type": "number"}, {"props": None}, {"props": []}, {"props": {"label": 3}}]
)
def test_a_private_endpoint_with_an_odd_component(component: Json) -> None:
    made = Description().add("hidden", [parameter("x")], api_visibility="private")
    (old,) = (c for c in made.config["components"] if "x" in c["props"]["label"])
    made.config["components"] = [{"id": old["id"], **component}]
    info = made.app.find(None, 0)
    assert str(info.signature)
    assert info.encode(("a",), {}, validate=True) == '["a"]'


def test_missing_component_is_plain() -> None:
    """Components of `gr.render` are in no /config."""
    made = Description().add("run", [parameter("x")])
    made.config["components"].clear()
    assert made.app.find("run", None).encode(("a",), {}, validate=True) == '["a"]'
