"""Spaces through both clients: opening them, tokens, copies, on a stand-in for the hub.

Theirs asks the hub by huggingface_hub, whose functions are made to ask the stand-in.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import gradio_client
import gradio_client.client
import gradio_client.utils
import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
import huggingface_hub.utils
import pytest
import trio

import triojob.sync
from qa.differential.differences import shows
from qa.differential.support import SECONDS, failure_of, their_client
from tests.servers.hub import TOKEN, Origins, open_origins
from tests.servers.scripted import Event
from tests.spaces.support import SPACE, bearers
from tests.support.files import sent, serve_echo
from triojob.testing._server.http import ServerRequest, ServerResponse

ORIGINAL = "bob/tale"
ASKING = (
    "duplicate_repo",
    "get_full_repo_name",
    "get_space_runtime",
    "request_space_hardware",
    "space_info",
)
Module = Any


@pytest.fixture
async def origins(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Origins]:
    """Serve a hub that both libraries ask, with a Space of another user's to copy."""
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    # For each call theirs looks whether it is made inside a Gradio app: importing that takes long.
    monkeypatch.setitem(sys.modules, "gradio", None)
    with trio.fail_after(2 * SECONDS):
        async with open_origins(memory=False) as opened:

            @opened.host.app.endpoint(inputs=["name"])
            async def greet(event: Event) -> None:
                await event.completed([f"Hello {event.data[0]}!"])

            monkeypatch.setenv("HF_ENDPOINT", opened.hub.url)
            api = huggingface_hub.HfApi(endpoint=opened.hub.url)
            for name in ASKING:
                monkeypatch.setattr(huggingface_hub, name, getattr(api, name))
            opened.hub.spaces[ORIGINAL] = opened.space
            _run_copies(opened)
            yield opened


def _run_copies(origins: Origins) -> None:
    """Have copies run at once, on the host of the original."""
    duplicate = origins.hub._duplicate

    def duplicate_and_run(request: ServerRequest) -> ServerResponse:
        answer = duplicate(request)
        copy = origins.hub.spaces[request.json["repository"]]
        copy.host, copy.stages = origins.host.url, ["RUNNING"]
        return answer

    origins.hub._duplicate = duplicate_and_run  # type: ignore[method-assign]


async def both(origins: Origins, call: Callable[[Module], Any]) -> list[Any]:
    """Return what ``call(module)`` gives with each library, from the same start."""
    found = []
    for module in (gradio_client, triojob.sync):
        for name in set(origins.hub.spaces) - {SPACE, ORIGINAL}:
            del origins.hub.spaces[name]
        for seen in (origins.hub.requests, origins.host.requests, origins.hub.copies):
            seen.clear()
        found.append(await trio.to_thread.run_sync(call, module))
    return found


def opened(module: Module, src: str, **options: Any) -> Any:
    if module is gradio_client:
        return their_client(src, **options)
    return triojob.sync.Client(src, **options)


def copied(module: Module, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Copy a Space; return the copy's name and what it says."""
    client = module.Client.duplicate(*args, verbose=False, **options)
    said = client.predict("x", api_name="/greet")
    if module is triojob.sync:
        client.close()
    else:
        client._kill_heartbeat.set()
    return client.space_id, said


# --- Opening ---


@pytest.mark.parametrize("given, saved", [(None, None), (TOKEN, None), (None, TOKEN)])
async def test_tokens_at_hub_and_space(origins, monkeypatch, given, saved):
    if saved is not None:
        monkeypatch.setenv("HF_TOKEN", saved)

    def call(module: Module) -> Any:
        with opened(module, SPACE, token=given) as client:
            said = client.predict("x", api_name="/greet")
            told = client.space_id, client.src.rstrip("/")
        at_hub = {tuple(found.items()) for found in bearers(origins.hub.requests)}
        at_host = {tuple(found.items()) for found in bearers(origins.host.requests)}
        return said, told, at_hub, at_host

    theirs, ours = await both(origins, call)
    assert ours == theirs
    bearer = f"Bearer {TOKEN}"
    expected = {(("x-hf-authorization", bearer),)} if given or saved else {()}
    assert ours[0] == "Hello x!"
    assert ours[3] == expected


@pytest.mark.parametrize(
    "variables, sent",
    [
        ({"HF_TOKEN": f" {TOKEN}\n"}, True),
        ({"HUGGING_FACE_HUB_TOKEN": TOKEN}, True),
        ({"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, False),
        ({"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "no"}, True),
    ],
)
async def test_variables_of_tokens(origins, monkeypatch, variables, sent):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # It has read this when it was imported.
    disabled = variables.get("HF_HUB_DISABLE_IMPLICIT_TOKEN") == "1"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", disabled)

    def call(module: Module) -> Any:
        with opened(module, SPACE) as client:
            client.predict("x", api_name="/greet")
        requests = [*origins.hub.requests, *origins.host.requests]
        return {value for found in bearers(requests) for value in found.values()}

    theirs, ours = await both(origins, call)
    assert ours == theirs == ({f"Bearer {TOKEN}"} if sent else set())


@shows("token-sources")
async def test_token_of_a_vault(origins: Origins, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = huggingface_hub.utils._auth
    monkeypatch.setattr(auth, "_get_token_from_google_colab", lambda: TOKEN)
    monkeypatch.setenv("HF_HOME", "/nowhere")

    def call(module: Module) -> Any:
        with opened(module, SPACE):
            pass
        return [found.get("x-hf-authorization") for found in bearers(origins.host.requests)]

    theirs, ours = await both(origins, call)
    assert set(theirs) == {f"Bearer {TOKEN}"}
    assert set(ours) == {None}


@shows("offline")
async def test_offline_mode(origins: Origins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # It has read this when it was imported.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def call(module: Module) -> Any:
        try:
            with opened(module, SPACE) as client:
                return client.predict("x", api_name="/greet")
        except huggingface_hub.errors.OfflineModeIsEnabled:
            return "offline"

    assert await both(origins, call) == ["offline", "Hello x!"]


@shows("private-files")
async def test_file_of_a_private_space(origins: Origins) -> None:
    origins.space.private = True
    serve_echo(origins.host)
    origins.host.files["/srv/a.txt"] = b"text"
    url = f"{origins.host.url}/gradio_api/file=/srv/a.txt"

    def call(module: Module) -> Any:
        with opened(module, SPACE, token=TOKEN) as client:
            client.predict(module.handle_file(url), api_name="/echo")
        return sent(origins.host)[0]["path"]

    theirs, ours = await both(origins, call)
    assert origins.host.files[theirs] == b"text"
    assert ours == url


async def test_private_space(origins: Origins) -> None:
    origins.space.private = True

    def call(module: Module) -> Any:
        with opened(module, SPACE, token=TOKEN) as client:
            return client.predict("x", api_name="/greet")

    assert await both(origins, call) == ["Hello x!", "Hello x!"]


@pytest.mark.parametrize("stage", ["BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "PAUSED"])
async def test_space_that_does_not_run(origins: Origins, stage: str) -> None:
    origins.space.stages = [stage]

    def call(module: Module) -> Any:
        return failure_of(lambda m: opened(m, SPACE).__enter__(), module)

    theirs, ours = await both(origins, call)
    words = f"The current space is in the invalid state: {stage}. "
    assert isinstance(ours, ValueError)
    assert isinstance(theirs, ValueError)
    assert str(theirs).startswith(words)
    assert str(ours).startswith(words)


async def test_space_that_is_still_building(origins, capsys, monkeypatch):
    # It sleeps between its looks.
    monkeypatch.setattr(
        gradio_client.client,
        "time",
        types.SimpleNamespace(**vars(time) | {"sleep": lambda _: None}),
    )

    def call(module: Module) -> str:
        # Theirs looks twice before it waits.
        looks = 2 if module is gradio_client else 1
        origins.space.stages = [*["BUILDING"] * looks, "RUNNING"]
        with opened(module, SPACE, verbose=True) as client:
            assert client.predict("x", api_name="/greet") == "Hello x!"
        return capsys.readouterr().out

    theirs, ours = await both(origins, call)
    for printed in (theirs, ours):
        assert "Please wait..." in printed.splitlines()[0]
        assert printed.splitlines()[-1].startswith("Loaded as API: http")


@shows("sleeping-spaces")
async def test_space_that_sleeps(origins: Origins) -> None:
    def call(module: Module) -> Any:
        origins.space.stages = ["SLEEPING", "RUNNING"]
        try:
            with opened(module, SPACE) as client:
                return client.predict("x", api_name="/greet")
        except ValueError:
            return "could not be opened"

    assert await both(origins, call) == ["could not be opened", "Hello x!"]


@shows("space-pages")
async def test_url_of_the_page_of_a_space(origins: Origins) -> None:
    def call(module: Module) -> Any:
        try:
            with opened(module, f"{origins.hub.url}/spaces/{SPACE}") as client:
                return client.predict("x", api_name="/greet")
        except ValueError:
            return "no app"

    assert await both(origins, call) == ["no app", "Hello x!"]


@shows("late-variables")
async def test_variables_that_are_set_after_the_import(origins, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    def call(module: Module) -> Any:
        with opened(module, SPACE):
            pass
        return {found.get("x-hf-authorization") for found in bearers(origins.host.requests)}

    assert await both(origins, call) == [{None}, {f"Bearer {TOKEN}"}]


@shows("space-errors")
async def test_space_that_is_not_there(origins: Origins) -> None:
    def call(module: Module) -> Any:
        return failure_of(lambda m: opened(m, "ada/none", token=TOKEN).__enter__(), module)

    theirs, ours = await both(origins, call)
    assert isinstance(theirs, huggingface_hub.errors.RepositoryNotFoundError)
    assert isinstance(ours, triojob.sync.SpaceError)
    assert isinstance(ours, ValueError)
    assert str(ours).startswith("Could not find Space: ada/none.")


async def test_visitor_whose_app_calls_a_space(origins, monkeypatch):
    request: ContextVar[Any] = ContextVar("request", default=None)
    context = types.ModuleType("gradio.context")
    context.LocalContext = types.SimpleNamespace(request=request)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gradio", types.ModuleType("gradio"))
    monkeypatch.setitem(sys.modules, "gradio.context", context)
    visitor = types.SimpleNamespace(headers={"x-ip-token": "visitor"})

    def call(module: Module) -> Any:
        with opened(module, SPACE) as client:
            request.set(visitor)
            client.predict("x", api_name="/greet")
            joins = [item for item in origins.host.requests if item.path.endswith("/queue/join")]
            return [item.headers.get("x-ip-token") for item in joins]

    theirs, ours = await both(origins, call)
    assert ours == theirs == ["visitor"]


# --- Copies ---


@pytest.mark.parametrize(
    "args, options, name",
    [
        ((ORIGINAL,), {}, "ada/tale"),
        ((ORIGINAL, "mine"), {}, "ada/mine"),
        ((ORIGINAL, "ada/mine"), {"private": False}, "ada/mine"),
    ],
)
async def test_copy(origins, args, options, name):
    def call(module: Module) -> Any:
        found = copied(module, *args, token=TOKEN, **options)
        return found, list(origins.hub.copies), bearers(origins.host.requests)

    theirs, ours = await both(origins, call)
    assert ours == theirs
    assert ours[0] == (name, "Hello x!")
    assert len(ours[1]) == 1


async def test_copy_that_is_there_already(origins: Origins) -> None:
    def call(module: Module) -> Any:
        first = copied(module, ORIGINAL, token=TOKEN)
        second = copied(module, ORIGINAL, token=TOKEN)
        return first, second, [name for name in origins.hub.spaces if name.startswith("ada/")]

    theirs, ours = await both(origins, call)
    assert ours == theirs
    assert ours[0] == ours[1] == ("ada/tale", "Hello x!")


async def test_secrets_of_an_existing_copy(origins: Origins) -> None:
    def call(module: Module) -> Any:
        copied(module, ORIGINAL, token=TOKEN)
        with pytest.warns(UserWarning, match="not updated") as warned:
            found = copied(module, ORIGINAL, token=TOKEN, secrets={"KEY": "value"})
        return found, [str(item.message) for item in warned]

    theirs, ours = await both(origins, call)
    assert ours == theirs
    assert ours[0] == ("ada/tale", "Hello x!")


async def test_copy_with_the_saved_token(origins: Origins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    theirs, ours = await both(origins, lambda module: copied(module, ORIGINAL))
    assert ours == theirs == ("ada/tale", "Hello x!")


async def test_copy_of_what_is_not_there(origins: Origins) -> None:
    def call(module: Module) -> Any:
        return failure_of(lambda m: copied(m, "bob/none", token=TOKEN), module)

    theirs, ours = await both(origins, call)
    words = "Could not find Space: bob/none. "
    assert type(theirs) is ValueError
    assert isinstance(ours, ValueError)
    assert str(theirs).startswith(words)
    assert str(ours).startswith(words)


@shows("duplicate-name")
async def test_copy_for_a_team(origins: Origins) -> None:
    theirs, ours = await both(
        origins, lambda module: copied(module, ORIGINAL, "team/mine", token=TOKEN)[0]
    )
    assert (theirs, ours) == ("ada/mine", "team/mine")


@shows("duplicate-hardware")
async def test_copy_of_a_space_on_costly_hardware(origins, monkeypatch):
    asked: list[str] = []
    runtime = huggingface_hub.get_space_runtime

    def costly(name: str, **options: Any) -> Any:
        if name == ORIGINAL:
            return types.SimpleNamespace(hardware="t4-small", stage="RUNNING")
        return runtime(name, **options)

    monkeypatch.setattr(huggingface_hub, "get_space_runtime", costly)
    monkeypatch.setattr(
        huggingface_hub, "request_space_hardware", lambda _, hardware, **__: asked.append(hardware)
    )
    monkeypatch.setattr(gradio_client.utils, "set_space_timeout", lambda *_, **__: None)

    def call(module: Module) -> Any:
        asked.clear()
        copied(module, ORIGINAL, token=TOKEN)
        return list(asked), [copy.get("hardware") for copy in origins.hub.copies]

    assert await both(origins, call) == [(["t4-small"], [None]), ([], [None])]


async def test_copy_on_hardware_that_one_asks_for(origins, monkeypatch):
    asked: list[tuple[str, str, int]] = []

    def request(name: str, hardware: str, **_: Any) -> None:
        asked.append((name, hardware, 0))

    def set_timeout(name: str, *, timeout_in_seconds: int, **_: Any) -> None:
        asked[-1] = (name, asked[-1][1], timeout_in_seconds)

    monkeypatch.setattr(huggingface_hub, "request_space_hardware", request)
    monkeypatch.setattr(gradio_client.utils, "set_space_timeout", set_timeout)

    def call(module: Module) -> Any:
        asked.clear()
        copied(module, ORIGINAL, token=TOKEN, hardware="t4-small", sleep_timeout=7)
        if module is gradio_client:
            return list(asked)
        # Ours asks for all of it when the copy is made.
        return [
            (body["repository"], body["hardware"], body["sleepTimeSeconds"])
            for body in origins.hub.copies
        ]

    theirs, ours = await both(origins, call)
    assert ours == theirs == [("ada/tale", "t4-small", 420)]
