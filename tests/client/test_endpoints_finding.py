"""Endpoints by name, by number, or by neither, and what the client says of the app."""

from __future__ import annotations

import pydoc
from typing import Any

import pytest

from tests.servers.faults import Answer
from tests.servers.scripted import ScriptedServer
from tests.support.opening import new_client, targets
from tests.support.sessions import opened
from triojob import EndpointMismatch, EndpointNotFound
from triojob.testing._server.description import App
from triojob.testing.components import dropdown, slider, state, textbox


def add(server: ScriptedServer, *names: str | None) -> None:
    """Add functions, each of which says which one it is."""
    for name in names:
        server.app.add(name, inputs=["a"], extra={"api_description": f"the one named {name}"})


@pytest.mark.parametrize("given", ["/greet", "greet"])
async def test_by_name_with_and_without_the_slash(memory_app: ScriptedServer, given: str) -> None:
    add(memory_app, "other", "greet")
    async with opened(memory_app) as client:
        endpoint = client.endpoint(given)
        assert (endpoint.name, endpoint.api_name, endpoint.fn_index) == ("/greet", "/greet", 1)
        assert await endpoint("a") == "a"
    assert [join["fn_index"] for join in memory_app.joins] == [1]


async def test_by_number(memory_app: ScriptedServer) -> None:
    add(memory_app, "other", "greet")
    async with opened(memory_app) as client:
        endpoint = client.endpoint(fn_index=1)
        assert (endpoint.name, endpoint.fn_index) == ("/greet", 1)
        assert client.endpoint(fn_index=0).name == "/other"


async def test_calls_take_a_name_or_a_number(memory_app: ScriptedServer) -> None:
    add(memory_app, "other", "greet")
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            for which in ({"api_name": "/greet"}, {"api_name": "greet"}, {"fn_index": 1}):
                assert await surface.predict("a", **which) == "a"
                assert await surface.submit(a="b", **which).result() == "b"
    assert [join["fn_index"] for join in memory_app.joins] == [1] * 12


async def test_name_and_number_are_too_much(memory_app: ScriptedServer) -> None:
    add(memory_app, "other", "greet")
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match="api_name or fn_index, not both"):
            client.endpoint("/greet", fn_index=1)
        with pytest.raises(TypeError, match="not both"):
            client.submit("a", api_name="/greet", fn_index=1)
        with pytest.raises(TypeError, match="not both"):
            await client.predict("a", api_name="/greet", fn_index=1)


async def test_neither_means_the_only_one(memory_app: ScriptedServer) -> None:
    add(memory_app, "greet")
    # What the app does not offer is not there to be meant.
    memory_app.app.add("hidden", visibility="private")
    memory_app.app.add("quiet", visibility="undocumented")
    memory_app.app.add("page", backend=False)
    async with opened(memory_app) as client, client.session() as session:
        assert client.endpoint().name == session.endpoint().name == "/greet"
        assert await client.predict("a") == "a"
        assert await session.submit("b").result() == "b"


async def test_neither_means_predict_where_there_are_several(memory_app: ScriptedServer) -> None:
    add(memory_app, "greet", "predict", "other")
    async with opened(memory_app) as client:
        assert client.endpoint().name == "/predict"
        assert await client.predict("a") == "a"
    assert memory_app.joins[0]["fn_index"] == 1


async def test_nothing_is_not_enough_among_several(memory_app: ScriptedServer) -> None:
    add(memory_app, "greet", "other")
    async with opened(memory_app) as client:
        for ask in (client.endpoint, client.submit):
            with pytest.raises(EndpointNotFound, match=r"api_name=.*'/greet', '/other'") as caught:
                ask()
            assert caught.value.available == ("/greet", "/other")
            assert caught.value.nearest is None
        with pytest.raises(EndpointNotFound, match="api_name="):
            await client.predict()
    assert memory_app.joins == []


async def test_an_app_without_endpoints(memory_app: ScriptedServer) -> None:
    async with opened(memory_app) as client:
        with pytest.raises(EndpointNotFound, match="no public endpoint"):
            client.endpoint()
        with pytest.raises(EndpointNotFound, match=r"no endpoint '/greet'.*no public endpoint"):
            client.endpoint("/greet")
        assert "Endpoints: 0" in client.view_api()


async def test_unknown_name_lists_names_and_suggests(memory_app):
    add(memory_app, "greet", "translate")
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            with pytest.raises(EndpointNotFound, match="did you mean '/translate'") as caught:
                surface.endpoint("tranlsate")
            assert caught.value.nearest == "/translate"
            assert caught.value.available == ("/greet", "/translate")
            assert "'/greet', '/translate'" in str(caught.value)
            assert isinstance(caught.value, LookupError)


async def test_unlike_name_gets_the_list_only(memory_app):
    add(memory_app, "greet", "translate")
    async with opened(memory_app) as client:
        with pytest.raises(EndpointNotFound, match="it has '/greet', '/translate'") as caught:
            client.submit("a", api_name="/xyz")
        assert caught.value.nearest is None
        assert "did you mean" not in str(caught.value)
    assert client.jobs == ()


@pytest.mark.parametrize("name", ["", "/", "//greet", "/Greet", "greet/", " greet"])
async def test_a_name_is_taken_as_it_is(memory_app: ScriptedServer, name: str) -> None:
    add(memory_app, "greet")
    async with opened(memory_app) as client:
        with pytest.raises(EndpointNotFound):
            client.endpoint(name)


@pytest.mark.parametrize("number", [-1, 2, 100])
async def test_an_unknown_number_lists_the_numbers(memory_app: ScriptedServer, number: int) -> None:
    add(memory_app, "greet", "other")
    async with opened(memory_app) as client:
        with pytest.raises(EndpointNotFound, match=rf"fn_index {number}; it has \[0, 1\]"):
            client.endpoint(fn_index=number)


@pytest.mark.parametrize("via", ["fast", "Queue", 1])
async def test_a_way_that_there_is_not(memory_app: ScriptedServer, via: Any) -> None:
    add(memory_app, "greet")
    async with opened(memory_app) as client, client.session() as session:
        for surface in (client, session):
            with pytest.raises(ValueError, match='"queue", "run" or "call"'):
                surface.endpoint("/greet", via=via)


# --- What is not for all ---


async def test_private_endpoint_is_called_by_number_only(memory_app: ScriptedServer) -> None:
    add(memory_app, "greet")
    memory_app.app.add("hidden", inputs=["a", state()], visibility="private")
    async with opened(memory_app) as client:
        with pytest.raises(EndpointNotFound) as caught:
            client.endpoint("/hidden")
        assert caught.value.available == ("/greet",)
        # In no /info: what its components are says what it takes.
        assert await client.predict("a", fn_index=1) == "a"
        with pytest.raises(TypeError, match="misses 'param_0'"):
            client.submit(fn_index=1)
        assert "hidden" not in client.view_api(all_endpoints=True)


async def test_undocumented_endpoint_is_callable_and_unlisted(memory_app):
    add(memory_app, "greet")
    memory_app.app.add("quiet", inputs=["a"], visibility="undocumented")
    async with opened(memory_app) as client:
        assert await client.predict(a="a", api_name="/quiet") == "a"
        assert "/quiet" not in client.view_api()
        assert "/quiet" in client.view_api(all_endpoints=True)
        with pytest.raises(EndpointNotFound) as caught:
            client.endpoint("/nowhere")
        assert caught.value.available == ("/greet",)


@pytest.mark.parametrize("visibilities", [["public", "undocumented"], ["undocumented", "public"]])
async def test_public_function_wins_among_equal_names(memory_app, visibilities):
    """So it is where Blocks are rendered in others: Gradio's names are not unique then."""
    for visibility in visibilities:
        inputs = ["text"] if visibility == "public" else [textbox("secret", value="its own")]
        memory_app.app.add("twin", inputs=inputs, visibility=visibility)
    add(memory_app, "greet")
    public = visibilities.index("public")
    async with new_client(memory_app) as client:
        looks = len(memory_app.requests)
        assert await client.predict(text="a", api_name="/twin") == "a"
        with pytest.raises(TypeError, match="misses 'text'"):
            await client.predict(api_name="/twin")
        twin, other = (client.endpoint(fn_index=place) for place in (public, 1 - public))
        assert str(twin.__signature__) == "(text: 'str')"
        assert await other("b") == "b"
        assert "/twin(text) -> out" in client.view_api(all_endpoints=True)
        assert "def twin(self, text: str | None) -> str:" in client.stubs(all_endpoints=True)
        assert client.endpoint("/greet").fn_index == 2
    assert [join["fn_index"] for join in memory_app.joins] == [public, 1 - public]
    # What all are described by hides the public one only if that isn't the last.
    assert looks == 2 + (public == 0)
    assert [*targets(memory_app)][2:looks] == ["GET /gradio_api/info"] * (public == 0)


async def test_endpoint_described_twice_says_so(memory_app):
    """The app restarts between the two descriptions: one function has another input."""
    add(memory_app, "greet", "other")

    later = App()
    later.add("greet", inputs=["a"])
    later.add("other", inputs=["a", "b"])
    memory_app.fault("GET", "/info", Answer(200, later.info(all_endpoints=True)))
    async with new_client(memory_app) as client:
        assert await client.predict("a", api_name="/greet") == "a"
        with pytest.raises(EndpointMismatch, match=r"/other can't be called: .* 1 .* 2"):
            client.endpoint("/other")
        assert "\n/other\n  (/other can't be called: " in client.view_api()
        module = client.stubs()
        assert "def greet(" in module
        assert "are invalid:\n    /other\n" in module


@pytest.mark.parametrize("name", [None, False])
async def test_unnamed_endpoint_is_called_by_number(memory_app, name):
    add(memory_app, "greet")
    memory_app.app.add(name, inputs=["a"])
    async with opened(memory_app) as client:
        endpoint = client.endpoint(fn_index=1)
        assert (endpoint.name, endpoint.api_name) == ("fn_index 1", None)
        assert await endpoint("a") == "a"
        assert client.submit("a", fn_index=1).name == "fn_index 1"


async def test_browser_only_functions_are_not_found(memory_app: ScriptedServer) -> None:
    add(memory_app, "greet")
    memory_app.app.add("page", inputs=["a"], backend=False)
    async with opened(memory_app) as client:
        for which in ({"api_name": "/page"}, {"fn_index": 1}):
            with pytest.raises(EndpointNotFound):
                client.endpoint(**which)
        assert "/page" not in client.view_api(all_endpoints=True)


# --- What it is ---


async def test_an_endpoint_says_what_it_is(memory_app: ScriptedServer) -> None:
    memory_app.app.add("greet", inputs=["name", "greeting"], description="Greet somebody.")
    async with opened(memory_app) as client:
        greet = client.endpoint("/greet")
        assert repr(greet) == "<Endpoint /greet(name, greeting)>"
        assert greet.__name__ == "/greet"
        assert str(greet.__doc__).startswith("Greet somebody.\n- name (Textbox): str, required\n")


async def test_help_shows_parameters_outputs_and_notes(memory_app: ScriptedServer) -> None:
    memory_app.app.add(
        "story",
        inputs=[
            state(),
            textbox("hero"),
            dropdown("mood", ["sad", "glad"], "glad"),
            slider("n", 1, 9, 3),
        ],
        outputs=[textbox("text"), state()],
        generator=True,
        description="Tell a story.",
    )
    async with opened(memory_app) as client:
        shown = pydoc.render_doc(client.endpoint("/story"), renderer=pydoc.plaintext)
    lines = [
        "/story = <Endpoint /story(hero, mood, n)>",
        "    Tell a story.",
        "    (streams: yields several outputs; keeps State for each session)",
        "    - hero (Textbox): str, required",
        "    - mood (Dropdown): Literal['sad', 'glad'], default 'glad', one of ['sad', 'glad']",
        "    - n (Slider): float, default 3, from 1 up to 9",
        "    -> text (Textbox): str",
    ]
    assert shown.splitlines()[2:] == lines


async def test_each_asking_gives_endpoint_that_does_same(memory_app):
    add(memory_app, "greet")
    async with opened(memory_app) as client:
        assert await client.endpoint("greet")("a") == await client.endpoint("/greet")("a") == "a"


async def test_view_api_describes_each_public_endpoint(memory_app: ScriptedServer) -> None:
    memory_app.app.title = "The app"
    memory_app.app.add("greet", inputs=["name"], outputs=["words"], description="Greet somebody.")
    memory_app.app.add("count", inputs=[slider("n", 1, 9, 3)], outputs=[state()], generator=True)

    async with new_client(memory_app, memory_app.url + "/?token=t0ken") as client:
        text = client.view_api()
        assert len(memory_app.requests) == 2
    lines = text.splitlines()
    assert lines[0] == "The app at http://scripted.test/ (Gradio 6.31.0, sse_v3)"
    assert lines[1] == "Endpoints: 2"
    assert "/greet(name) -> words" in lines
    assert "  Greet somebody." in lines
    assert "/count(n) -> nothing" in lines
    assert "  (streams: yields several outputs; keeps State for each session)" in lines
    assert "  - n (Slider): float, default 3, from 1 up to 9" in lines
