"""A real Gradio app with all components whose values an API knows, and awkward names.

Run as ``gradio_app.py`` is, and like that one it imports nothing of triojob.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio_app import main

COMPONENTS = (
    "AnnotatedImage",
    "Audio",
    "Chatbot",
    "Checkbox",
    "CheckboxGroup",
    "Code",
    "ColorPicker",
    "Dataframe",
    "DateTime",
    "Dialogue",
    "Dropdown",
    "File",
    "FileExplorer",
    "Gallery",
    "HTML",
    "HighlightedText",
    "Image",
    "ImageEditor",
    "ImageSlider",
    "JSON",
    "Label",
    "LinePlot",
    "Markdown",
    "Model3D",
    "MultimodalTextbox",
    "Number",
    "Plot",
    "Radio",
    "Slider",
    "Textbox",
    "Timer",
    "UploadButton",
    "Video",
)


def same(value: Any) -> Any:
    return value


def translate(text: str, target: str, formal: bool) -> str:
    r"""Translate a "text", C:\new.

    It knows ``fr`` and 日本語.
    """
    return f"{target}:{text}" + "!" * formal


def choose(number: float, letters: list[str], free: str, long: str) -> tuple[str, float]:
    return f"{letters} {free} {len(long)}", number


def tell(n: float) -> Iterator[str]:
    for i in range(int(n)):
        yield "la " * (i + 1)


def late(first: str, second: str) -> str:
    return first + second


def chat(message: str, history: list[Any]) -> tuple[str, list[Any]]:
    said = {"role": "user", "content": message}
    return "", [*history, said, {"role": "assistant", "content": message.upper()}]


def build() -> gr.Blocks:
    with gr.Blocks(title='Components: "all" of """them"""') as demo:
        out, text = gr.Textbox(label="out"), gr.Textbox(label="text")

        def endpoint(fn: Any, inputs: Any, outputs: Any, name: str | None = None) -> None:
            gr.Button().click(fn, inputs, outputs, api_name=name or fn.__name__)

        for name in COMPONENTS:
            kind = getattr(gr, name)
            # Of each, two: what is listed twice would be one component.
            endpoint(same, kind(), kind(), f"same_{name.lower()}")

        languages = gr.Dropdown(["fr", "de", "日本語", 'a"b'], value="fr", label="target\nlanguage")
        endpoint(translate, [text, languages, gr.Checkbox(label="formal")], out)
        endpoint(
            choose,
            [
                gr.Dropdown([("One", 1), ("Two", 2)], value=1, label="number"),
                gr.CheckboxGroup(["x", "y"], value=["x"], label="letters"),
                gr.Dropdown(["a", "b"], value="a", allow_custom_value=True, label="free"),
                gr.Textbox("very long " * 30, label="long"),
            ],
            [out, gr.Number(label="number")],
        )
        endpoint(tell, gr.Number(3, label="n"), out)
        endpoint(late, [gr.Textbox("first", label="first"), gr.Textbox(label="second")], out)
        endpoint(chat, [text, gr.Chatbot(label="chat")], [text, gr.Chatbot(label="chat")])
        count, kept = gr.Number(label="count"), gr.State(0)
        endpoint(lambda n: (n + 1, n + 1), kept, [kept, count], "bump")
        endpoint(lambda: None, None, None, "nothing")
        for name in ("class", "list", "str", "match", "chat/v2", "chat-v2", "2d", "_private"):
            endpoint(same, text, out, name)
        endpoint(same, text, out, "endpoint")
        endpoint(same, text, out, "files")
    return demo


if __name__ == "__main__":
    main(build)
