"""A real Gradio app whose scripted twin is in `twin.py`; run by `triojob.testing.run_gradio`.

With TWIN_STRICT it asks for a login, lets one call wait, and shows what is raised.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr


def translate(text: str, target: str = "fr") -> str:
    """Translate a text.

    Whatever the language.

    Args:
        text: What to translate.
    """
    return f"{text} in {target}"


def stats(numbers: list[float]) -> tuple[float, str]:
    return sum(numbers), f"{len(numbers)} numbers"


def tokens(n: int, delay: float = 0.0) -> Iterator[str]:
    text = ""
    for i in range(n):
        time.sleep(delay)
        text += f" tok{i}" if text else f"tok{i}"
        yield text


def steps(n: int, progress: gr.Progress = gr.Progress()) -> str:
    for i in range(n):
        progress((i, n), desc=f"step {i}")
        time.sleep(0.2)
    gr.Info("done")
    return "stepped"


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def offended(text: str) -> str:
    raise gr.Error(f"not {text}", title="Oops", duration=3, visible=False)


def plain_error(text: str) -> str:
    raise gr.Error("plain")


def broken(text: str) -> str:
    raise KeyError(text)


def broken_midway(n: int) -> Iterator[str]:
    for i in range(n):
        yield str(i)
    raise gr.Error("midway")


def bump(count: int) -> tuple[int, int]:
    return count + 1, count + 1


def relabel(text: str) -> object:
    return gr.update(label=text)


def upper(path: str) -> str:
    source = Path(path)
    result = source.with_name("upper.txt")
    result.write_text(source.read_text(encoding="utf-8").upper(), encoding="utf-8")
    return str(result)


def adult(name: str, age: float) -> str:
    return f"{name} is {age}"


def check_adult(name: str, age: float) -> list[dict[str, object]]:
    return [gr.validate(bool(name), "A name is needed."), gr.validate(age >= 18, "Too young.")]


with gr.Blocks(title="twin") as demo:
    text, target = gr.Textbox(label="text"), gr.Textbox("fr", label="target")
    n, delay = gr.Number(label="n"), gr.Number(0.0, label="delay")
    seconds, output = gr.Number(label="seconds"), gr.Textbox(label="output")
    count = gr.State(0)

    def endpoint(fn, inputs, outputs, **options) -> None:
        gr.Button(fn.__name__).click(fn, inputs, outputs, api_name=fn.__name__, **options)

    endpoint(translate, [text, target], output)
    endpoint(
        stats,
        gr.JSON(label="numbers"),
        [gr.Number(label="output 0"), gr.Textbox(label="output 1")],
    )
    endpoint(tokens, [n, delay], output)
    endpoint(steps, n, output)
    endpoint(nap, seconds, gr.Number(label="output"))
    endpoint(offended, text, output)
    endpoint(plain_error, text, output)
    endpoint(broken, text, output)
    endpoint(broken_midway, n, output)
    endpoint(bump, count, [count, gr.Number(label="count")])
    endpoint(relabel, text, output)
    endpoint(upper, gr.File(label="path"), gr.File(label="output"))
    endpoint(
        adult, [gr.Textbox(label="name"), gr.Number(label="age")], output, validator=check_adult
    )

strict = "TWIN_STRICT" in os.environ
demo.queue(max_size=1 if strict else None)
demo.launch(auth=("ada", "l0velace") if strict else None, show_error=strict)
