"""An app's description for people."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.apps import NUMBER, STATE, Description, optional, parameter, recorded, returned
from triojob.gradio.schema.app import AppInfo
from triojob.gradio.schema.view import describe_app

URL = "http://127.0.0.1:7860/"


def described(made: Description) -> str:
    return describe_app(URL, made.app, all_endpoints=True)


def line_of(*inputs: Any) -> str:
    """Return the line of the first parameter."""
    lines = described(Description().add("run", [*inputs])).splitlines()
    return next(line for line in lines if line.startswith("  - "))


def test_the_recorded_app() -> None:
    app = AppInfo(*recorded())
    text = describe_app(URL, app, all_endpoints=False)
    head, *blocks = text.split("\n\n")
    assert head == f"compat lab at {URL} (Gradio 6.31.0, sse_v3)\nEndpoints: 9"
    assert [block.partition("(")[0] for block in blocks] == [*app.names()]
    assert blocks[0] == (
        "/greet(name) -> hello\n  - name (Textbox): str, required\n  -> hello (Textbox): str"
    )
    assert blocks[1].startswith("/add(a, b) -> sum, product\n")
    assert blocks[2].splitlines()[1] == "  (streams: yields several outputs)"
    assert blocks[8] == (
        "/bump() -> count\n  (keeps State for each session)\n  -> count (Number): float"
    )


def test_an_app_without_title_or_endpoints() -> None:
    made = Description()
    made.config["title"] = ""
    assert described(made) == f"{URL} (Gradio 6.31.0, sse_v3)\nEndpoints: 0"


def test_an_endpoint_without_outputs() -> None:
    assert "/run() -> nothing" in described(Description().add("run", [], []))
    assert "/run() -> nothing" in described(Description().add("run", [], [STATE]))


def test_notes_and_description() -> None:
    made = Description().add(
        "run", [STATE], types={"generator": True}, api_visibility="undocumented"
    )
    made.info["named_endpoints"]["/run"]["description"] = "Does things."
    assert described(made).split("\n\n")[1].splitlines()[1:3] == [
        "  Does things.",
        "  (streams: yields several outputs; keeps State for each session; undocumented)",
    ]


def test_long_description_stays_with_endpoint() -> None:
    made = Description().add("run", [])
    made.info["named_endpoints"]["/run"]["description"] = "One.\nTwo."
    block = described(made).split("\n\n")[1]
    assert all(line.startswith("  ") for line in block.splitlines()[1:])


@pytest.mark.parametrize(
    "item, line",
    [
        (parameter("x"), "  - x (Textbox): str, required"),
        (optional("x", "d"), "  - x (Textbox): str, default 'd'"),
        (optional("x", None), "  - x (Textbox): str, default None"),
        (
            optional("x", "a", {"type": "string", "enum": ["a", "b"]}),
            "  - x (Textbox): str, default 'a', one of ['a', 'b']",
        ),
        (
            parameter("x", NUMBER, props={"minimum": 0, "maximum": 10}),
            "  - x (Textbox): str, required, from 0 up to 10",
        ),
        (
            parameter("x", NUMBER, props={"minimum": -1.5, "maximum": 1_234_567}),
            "  - x (Textbox): str, required, from -1.5 up to 1234567",
        ),
    ],
)
def test_parameters(item: Any, line: str) -> None:
    assert line_of(item) == line


@pytest.mark.parametrize(
    "props, bound", [({"minimum": 3}, "3"), ({"maximum": 5}, "5"), ({"minimum": 0}, "0")]
)
def test_a_bound_on_one_side(props: dict[str, Any], bound: str) -> None:
    line = line_of(parameter("x", NUMBER, props=props))
    assert bound in line.rpartition("required")[2]
    assert line == line.rstrip(), "half a range"
    assert not line.endswith("to")


def test_long_defaults_and_choices_are_cut_short() -> None:
    choices = [f"choice {n}" for n in range(10_000)]
    line = line_of(optional("x", "y" * 10_000, {"type": "string", "enum": choices}))
    assert len(line) < 700


def test_without_labels_and_types() -> None:
    made = Description().add("run", [parameter("x")], [returned()])
    described_run = made.info["named_endpoints"]["/run"]
    described_run["parameters"] = [{}]
    described_run["returns"] = [{}]
    text = described(made)
    assert "/run(param_0) -> output 1" in text
