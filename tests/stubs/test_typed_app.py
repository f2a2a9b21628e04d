"""A module that was written, at run time: the app's own endpoints, and whether it is still it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from trio.testing import MockClock

from tests.servers.faults import Answer
from tests.servers.scripted import Event, ScriptedServer
from tests.support.stubs import loaded
from triojob import Client, ClientClosed, Endpoint, EndpointMismatch, EndpointNotFound, JobGroup
from triojob.testing.components import checkbox, dropdown, file, textbox


def opened(server: ScriptedServer, **options: Any) -> Client:
    return Client(server.url, transport=server.transport(), **options)


def add(server: ScriptedServer, name: str, inputs: Any, **more: Any) -> None:
    async def fn(event: Event) -> None:
        await event.completed([":".join(map(str, event.data))])

    server.app.endpoint(name=name, inputs=inputs, **more)(fn)


async def written(server: ScriptedServer, **options: Any) -> str:
    async with opened(server) as client:
        return client.stubs(**options)


async def test_a_method_is_the_apps_own_endpoint(autojump_clock: MockClock, memory_app):
    add(
        memory_app,
        "join",
        ["text", checkbox("loud", value=False)],
        parameter_names=("text", "loud"),
    )
    with loaded(await written(memory_app)) as module:
        async with opened(memory_app) as client, JobGroup() as group:
            app = module.App(client)
            assert isinstance(app.join, Endpoint)
            assert app.join is app.join
            assert app.join.name == "/join"
            assert await app.join("a") == "a:False"
            assert await app.join("a", loud=True) == "a:True"
            job = group.submit(app.join, text="b")
            assert await job.result() == "b:False"
            assert [output async for output in job] == ["b:False"]
            with pytest.raises(TypeError, match="'text'"):
                group.submit(app.join)


async def test_a_session_has_methods_too(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", ["text"])
    with loaded(await written(memory_app)) as module:
        async with opened(memory_app) as client, client.session() as session:
            assert await module.App(session).say("a") == "a"


async def test_the_class_shows_what_its_methods_take(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", ["text"], parameter_names=("text",), description="Say it.")
    with loaded(await written(memory_app, class_name="Voice")) as module:
        assert inspect.getdoc(module.Voice.say).startswith("Say it.\n")
        assert module.Voice.say.api_name == "/say"


async def test_endpoints_that_are_new_don_t_matter(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", ["text"])
    text = await written(memory_app)
    add(memory_app, "other", ["text"])
    with loaded(text) as module:
        async with opened(memory_app) as client:
            assert await module.App(client).say("a") == "a"


OLD = [textbox("text"), dropdown("target", ["fr", "de"], "fr")]


@pytest.mark.parametrize(
    "names, inputs, change",
    [
        (("text", "to"), OLD, "no longer has 'target', now also takes 'to'"),
        (("text",), OLD[:1], "no longer has 'target'"),
        (("text", "target", "how"), [*OLD, textbox("how")], "now also takes 'how'"),
        (
            ("text", "target"),
            [OLD[0], dropdown("target", ["fr", "en"], "fr")],
            """'target' is now Literal["fr", "en"] | None""",
        ),
        (
            ("text", "target"),
            [OLD[0], dropdown("target", ["fr", "de"])],
            "'target' is now required",
        ),
        (
            ("text", "target"),
            [textbox("text", "hello"), OLD[1]],
            "'text' is now optional",
        ),
    ],
)
async def test_an_endpoint_that_has_changed_is_refused(
    autojump_clock, memory_app, names, inputs, change
):
    add(memory_app, "translate", OLD, parameter_names=("text", "target"))
    with loaded(await written(memory_app)) as module:
        memory_app.app.endpoints.clear()
        add(memory_app, "translate", inputs, parameter_names=names)
        async with opened(memory_app) as client:
            with pytest.raises(EndpointMismatch) as caught:
                module.App(client)
            assert f"/translate: {change}; generate the module again" in str(caught.value)
            assert f"{module.__name__}.App" in str(caught.value)
            assert module.App(client, check=False).translate.name == "/translate"


async def test_wording_is_no_change(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", [textbox("a", "old")], parameter_names=("x",), description="Old.")
    with loaded(await written(memory_app)) as module:
        memory_app.app.endpoints.clear()
        add(memory_app, "say", [textbox("b", "new")], parameter_names=("x",), description="New.")
        async with opened(memory_app) as client:
            assert await module.App(client).say() == "new"


async def test_another_result_is_a_change(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", ["text"])
    with loaded(await written(memory_app)) as module:
        memory_app.app.endpoints.clear()
        add(memory_app, "say", ["text"], outputs=["text", checkbox("more")])
        async with opened(memory_app) as client:
            with pytest.raises(EndpointMismatch, match=r"/say: now returns tuple\[str, bool\]"):
                module.App(client)


async def test_an_endpoint_that_is_gone_is_missed(autojump_clock: MockClock, memory_app):
    add(memory_app, "say", ["text"])
    with loaded(await written(memory_app)) as module:
        memory_app.app.endpoints.clear()
        async with opened(memory_app) as client:
            with pytest.raises(EndpointMismatch, match="/say: the endpoint no longer exists"):
                module.App(client)
            app = module.App(client, check=False)
            with pytest.raises(EndpointNotFound, match="'/say'"):
                app.say  # noqa: B018


async def test_senseless_endpoint_spoils_no_other(autojump_clock, memory_app):
    add(memory_app, "say", ["text"])
    add(memory_app, "shout", ["text"])
    with loaded(await written(memory_app)) as module:
        info = memory_app.app.info(all_endpoints=True)
        info["named_endpoints"]["/say"]["parameters"] *= 2
        memory_app.fault("GET", "/info", Answer(200, info))
        async with opened(memory_app) as client:
            with pytest.raises(EndpointMismatch, match="/say can't be called"):
                module.App(client)
            app = module.App(client, check=False)
            assert await app.shout("x") == "x"
            with pytest.raises(EndpointMismatch, match="/say can't be called"):
                app.say  # noqa: B018


async def test_files_are_what_the_module_says(autojump_clock: MockClock, memory_app, tmp_path):
    add(memory_app, "cut", [file("in")], outputs=[file("out")])
    text = await written(memory_app)
    with loaded(text) as module:
        async with opened(memory_app, download_files=tmp_path) as client:
            module.App(client)
        async with opened(memory_app, download_files=False) as client:
            with pytest.raises(ValueError, match="generate the module with --files handle"):
                module.App(client)
            assert "-> File:" in client.stubs()
            assert client.stubs(files="path") == text


async def test_unopened_client_has_no_app(memory_app):
    client = opened(memory_app)
    with pytest.raises(ClientClosed):
        client.stubs()


async def test_stubs_are_for_paths_or_handles(autojump_clock: MockClock, memory_app):
    async with opened(memory_app) as client:
        with pytest.raises(ValueError, match='"path" or "handle"'):
            client.stubs(files="both")  # type: ignore[arg-type]


async def test_undocumented_endpoints_are_there_if_asked_for(autojump_clock: MockClock, memory_app):
    add(memory_app, "open", ["text"])
    add(memory_app, "quiet", ["text"], visibility="undocumented")
    assert "quiet" not in await written(memory_app)
    text = await written(memory_app, all_endpoints=True)
    assert "async def quiet(" in text
    assert "--all\n" in text
