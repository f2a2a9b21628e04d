"""What ``gr.render`` makes: functions that exist in one session only."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.servers.faults import Cut
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened
from triojob import (
    ConnectionLost,
    EndpointNotFound,
    OutputUpdate,
    ProtocolError,
    RenderUpdate,
)
from triojob.testing._server.description import App
from triojob.testing.components import number, textbox

Clock = trio.testing.MockClock


def add_render(server: ScriptedServer, first: int) -> None:
    """Add a function that renders one that echoes, numbered from ``first`` up."""
    renders: list[int] = []

    async def apply(event: Event) -> None:
        # The server has the function from now on; the client heard nothing of it in /config.
        made = App()
        fn_index = first + len(renders)
        renders.append(fn_index)
        shown = made.add("echo", inputs=[textbox("text")], outputs=[textbox("out")])
        shown.fn_index = fn_index
        server.app.endpoints.append(shown)
        config = made.config(server.url)
        for component in config["components"]:
            component["id"] += 1000
        for dependency in config["dependencies"]:
            dependency["inputs"] = [n + 1000 for n in dependency["inputs"]]
            dependency["outputs"] = [n + 1000 for n in dependency["outputs"]]
        event.outputs.render_config = {**config, "render_id": 0}
        await event.completed([None])

    server.app.add("apply", apply, inputs=[number("n")], visibility="undocumented")


async def test_rendered_functions_are_called_by_session(memory_app, autojump_clock):
    add_render(memory_app, first=100)
    # An endpoint of the app with the same name and other parameters.
    memory_app.app.add("echo", inputs=["one", "two"], outputs=["three", "four"])
    async with opened(memory_app) as client, client.session() as session:
        with pytest.raises(EndpointNotFound):
            session.endpoint(fn_index=100)
        job = session.submit(1, api_name="/apply")
        updates = [update async for update in job.updates()]
        kinds = [type(u) for u in updates if isinstance(u, (RenderUpdate, OutputUpdate))]
        assert kinds == [RenderUpdate, OutputUpdate]
        assert job.outputs() == [None]
        (render,) = (update for update in updates if isinstance(update, RenderUpdate))
        assert [d["id"] for d in render.config["dependencies"]] == [100]
        rendered = session.endpoint(fn_index=100)
        assert await rendered("hello") == "hello"
        with pytest.raises(TypeError):
            await rendered("hello", "twice")
        # The app's own one keeps its name.
        assert await session.predict("a", "b", api_name="/echo") == ("a", "b")
        assert memory_app.joins[-2]["session_hash"] == memory_app.joins[0]["session_hash"]
        # Nobody else has it.
        async with client.session() as other:
            for each in (client, other):
                with pytest.raises(EndpointNotFound):
                    each.endpoint(fn_index=100)
        # Rendered again, it is another one.
        await session.predict(1, api_name="/apply")
        with pytest.raises(EndpointNotFound):
            session.endpoint(fn_index=100)
        assert await session.endpoint(fn_index=101)("again") == "again"


async def test_render_outside_a_session_is_told_of(memory_app, autojump_clock):
    add_render(memory_app, first=100)
    async with opened(memory_app) as client:
        assert await client.predict(1, api_name="/apply") is None
        job = client.submit(1, api_name="/apply")
        told = [update async for update in job.updates() if isinstance(update, RenderUpdate)]
        assert len(told) == 1
        with pytest.raises(EndpointNotFound):
            client.endpoint(fn_index=100)


async def test_functions_are_gone_after_a_break(memory_app, autojump_clock):
    add_render(memory_app, first=100)
    async with opened(memory_app) as client, client.session() as session:
        await session.predict(1, api_name="/apply")
        assert session.endpoint(fn_index=100)
        memory_app.fault("GET", "/queue/data", Cut(after_bytes=30), times=1)
        with pytest.raises(ConnectionLost):
            await session.predict(1, api_name="/apply")
        with pytest.raises(EndpointNotFound):
            session.endpoint(fn_index=100)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"components": 1, "dependencies": []},
        {"components": [], "dependencies": [1]},
        *({"render_id": odd, "components": [], "dependencies": []} for odd in ([], {}, [[1]], 0.5)),
    ],
)
async def test_odd_render_fails_only_its_own_call(config, memory_app, autojump_clock):
    async def apply(event: Event) -> None:
        event.outputs.render_config = config
        await event.completed(["done"])

    async def wait(event: Event) -> None:
        await trio.sleep(10)
        await event.completed(["waited"])

    memory_app.app.add("apply", apply)
    memory_app.app.add("wait", wait)
    async with opened(memory_app) as client, client.session() as session:
        sibling = session.submit(api_name="/wait")
        with pytest.raises(ProtocolError, match=r"/apply: .* render"):
            await session.predict(api_name="/apply")
        assert await sibling.result() == "waited"
        assert session.endpoint("/apply").name == "/apply"
