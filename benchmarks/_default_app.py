"""A Gradio app as users start it: plain functions, and the defaults of ``launch()``.

Run as ``python -m benchmarks._default_app``, and see `_real_app.serve`.  Gradio runs at most 40
calls at once here (``max_threads``), whatever the functions' own limits say.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from . import _real_app

import gradio as gr  # isort: skip - after what it reads from the environment is set

LIMITS: dict[str, int | None] = {"one": 1, "ten": 10, "any": None}
SECONDS = {"short": 0.02, "long": 1.0}


def echo(text: str) -> str:
    return text


def taking(seconds: float) -> Callable[[str], str]:
    """Return a function that blocks its thread for so long."""

    def answer(text: str) -> str:
        time.sleep(seconds)
        return text

    return answer


def build() -> gr.Blocks:
    """Put the functions into an app: ``/echo``, then ``/short_one``, ``/short_ten`` and so on."""
    with gr.Blocks(title="defaults") as demo:
        text, out = gr.Textbox(label="text"), gr.Textbox(label="out")
        gr.Button("echo").click(echo, text, out, api_name="echo")
        for kind, seconds in SECONDS.items():
            for name, limit in LIMITS.items():
                gr.Button(f"{kind}_{name}").click(
                    taking(seconds), text, out, api_name=f"{kind}_{name}", concurrency_limit=limit
                )
    return demo


if __name__ == "__main__":
    _real_app.serve(build())
