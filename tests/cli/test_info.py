"""`triojob info`, and the examples that it gives to paste."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest
import trio

from tests.cli.support import COMMAND, SECONDS, connection, environment, run
from tests.servers.scripted import ScriptedServer
from triojob import Client, EndpointNotFound
from triojob._cli.arguments import read_arguments
from triojob._cli.info import info
from triojob.testing import components as d


def serve(server: ScriptedServer) -> None:
    server.app.add(
        "draw",
        inputs=[
            d.textbox("view"),
            d.slider("rows", 1, 9, 3),
            d.dropdown("color", ["red", "blue"], "red"),
            d.file("photo"),
            d.file("more", multiple=True),
            d.state(0),
        ],
        outputs=[d.file("picture"), d.state(0)],
        generator=True,
        description="Draws a \x1b[31mpicture.\nIn rows.",
        oauth_token="optional",
    )
    server.app.add("quiet", visibility="undocumented")
    server.app.add("no_input")


async def described(
    server: ScriptedServer, capfd: Any, name: str | None = None, **more: Any
) -> Any:
    options: dict[str, Any] = {"all_endpoints": False, "as_json": False, "timeout": None, **more}
    assert await info(connection(server.url), name, **options) == 0
    printed = capfd.readouterr().out
    return json.loads(printed) if options["as_json"] else printed


async def test_for_people(scripted: ScriptedServer, capfd: pytest.CaptureFixture[str]) -> None:
    serve(scripted)
    printed = await described(scripted, capfd)
    lines = printed.splitlines()
    assert lines[0] == f"scripted at {scripted.url}/ (Gradio 6.31.0, sse_v3)"
    for line in (
        "  Draws a \\x1b[31mpicture.",
        "  streams: yields several outputs",
        "  keeps State for each session",
        "  may act with your Hugging Face token: --oauth-token TOKEN",
    ):
        assert line in lines
    cells = [line.split() for line in lines]
    assert ["rows", "float", "3", "from", "1", "to", "9"] in cells
    assert ["color", "Literal['red',", "'blue']", '"red"', "red,", "blue"] in cells
    assert ["picture", "filepath", "File"] in cells
    assert "/no_input" in lines
    assert "/quiet" not in lines
    assert "undocumented" in await described(scripted, capfd, all_endpoints=True)


async def test_of_one_endpoint_example_is_script(scripted, capfd):
    serve(scripted)
    printed = await described(scripted, capfd, "no_input")
    assert "/draw" not in printed
    assert "    async with Client(" in printed
    with pytest.raises(EndpointNotFound, match="did you mean '/draw'"):
        await info(
            connection(scripted.url), "/drwa", all_endpoints=False, as_json=False, timeout=None
        )


async def test_for_machines(scripted: ScriptedServer, capfd: pytest.CaptureFixture[str]) -> None:
    serve(scripted)
    found = await described(scripted, capfd, as_json=True)
    assert (found["gradio"], found["protocol"], found["title"]) == ("6.31.0", "sse_v3", "scripted")
    draw, no_input = found["endpoints"]
    assert (draw["name"], no_input["name"]) == ("/draw", "/no_input")
    assert draw["streams"] is draw["stateful"] is True
    assert [p["name"] for p in draw["parameters"]] == ["view", "rows", "color", "photo", "more"]
    assert draw["parameters"][1] == {
        "name": "rows",
        "label": "rows",
        "component": "Slider",
        "type": "float",
        "kind": "number",
        "required": False,
        "default": 3,
        "choices": None,
        "minimum": 1,
        "maximum": 9,
        "takes_files": False,
    }
    assert draw["parameters"][2]["choices"] == ["red", "blue"]
    assert [p["takes_files"] for p in draw["parameters"]] == [False, False, False, True, True]
    assert draw["returns"] == [{"label": "picture", "component": "File", "type": "filepath"}]
    shell = shlex.split(draw["examples"]["shell"])
    assert shell[:4] == ["triojob", "call", scripted.url, "/draw"]
    assert shell[5:] == ["photo=@path/to/file", "more=@path/to/file"]
    assert '[handle_file("path/to/file")]' in draw["examples"]["python"]


@pytest.mark.real
async def test_the_examples_work_on_a_real_app(gradio_url, tmp_path, capfd):
    await info(connection(gradio_url), None, all_endpoints=False, as_json=True, timeout=None)
    found = json.loads(capfd.readouterr().out)
    by_name = {endpoint["name"]: endpoint["examples"] for endpoint in found["endpoints"]}
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "file").write_text("content")
    for name in ("/defaults", "/upper_file"):
        words = shlex.split(by_name[name]["shell"])
        script = [sys.executable, "-W", "error", "-c", by_name[name]["python"]]
        for command in ([*COMMAND, *words[1:]], script):
            with trio.fail_after(SECONDS):
                done = await trio.run_process(
                    command,
                    cwd=tmp_path,
                    capture_stdout=True,
                    capture_stderr=True,
                    env=environment(),
                )
            assert done.stdout


@pytest.mark.real
async def test_every_example_for_shell_fits_its_endpoint(gradio_url, capfd):
    await info(connection(gradio_url), None, all_endpoints=True, as_json=True, timeout=None)
    found = json.loads(capfd.readouterr().out)
    async with Client(gradio_url) as client:
        for described in found["endpoints"]:
            words = shlex.split(described["examples"]["shell"])
            endpoint = client.endpoint(words[3]).info
            values = read_arguments(endpoint, words[4:], None)
            encoded = [v for v in values.values() if "FileInput" not in repr(v)]
            if len(encoded) == len(values):
                endpoint.encode((), values, validate=True)


async def test_help_has_the_exit_codes() -> None:
    done = await run("--help")
    assert done.code == 0
    assert "130  Ctrl-C" in done.stdout
