"""The Gradio app of ``triojob demo``: small, and deliberately slow.

It does not import triojob: ``python demo_app.py`` serves it for a browser too.
It ends when its stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

# Read by Gradio when it is imported: no telemetry, no look-ups, no Node server in front.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_SSR_MODE"] = "False"

import gradio as gr

WIDTH = 56
SHADES = " .:-=+*#%@"
VIEWS = {  # the middle and the width of what is seen of the Mandelbrot set
    "The whole set": (-0.6 + 0j, 3.2),
    "Seahorse valley": (-0.748 + 0.1j, 0.03),
    "Elephant valley": (0.2755 + 0.0065j, 0.03),
    "Lightning": (-1.3 + 0.06j, 0.13),
    "Spiral": (-0.7453 + 0.1127j, 0.004),
    "Mini set": (-1.7687 + 0.0017j, 0.03),
}

_runs: list[dict[str, Any]] = []


async def render(view: str, rows: float, progress: gr.Progress = gr.Progress()) -> str:
    """Draw a piece of the Mandelbrot set; takes 70 ms a row, three callers at a time."""
    run: dict[str, Any] = {"view": view, "rows": 0, "state": "running"}
    _runs.append(run)
    middle, width = VIEWS[view]
    step = width / WIDTH
    lines: list[str] = []
    try:
        # A character is about twice as high as it is wide.
        for row in range(int(rows)):
            start = middle + complex(-width / 2, (row - rows / 2) * 2 * step)
            lines.append("".join(shade(start + column * step) for column in range(WIDTH)))
            run["rows"] = row + 1
            progress((row + 1, int(rows)), desc=view, unit="rows")
            await asyncio.sleep(0.07)
    except asyncio.CancelledError:
        run["state"] = "cancelled"
        raise
    run["state"] = "finished"
    return "\n".join(lines)


def shade(c: complex) -> str:
    """Return the character for one point: the later it escapes, the darker."""
    z = 0j
    for n in range(100):
        z = z * z + c
        if abs(z) > 2:
            return SHADES[n % (len(SHADES) - 1)]
    return SHADES[-1]


def runs() -> list[dict[str, Any]]:
    """Tell what became of the runs of /render: for those who don't believe the client."""
    return _runs


def story(hero: str, sentences: float) -> Iterator[str]:
    """Tell a story, word by word."""
    pick = random.choice
    text = ""
    for number in range(int(sentences)):
        who = hero if number == 0 else pick(["our hero", "the nursery", "a lost thread", hero])
        did = pick(["opened", "cancelled", "waited for", "shielded", "sang about"])
        what = pick(["a memory channel", "the last job", "an old deadline", "the checkpoint"])
        how = pick(["without a poll", "before the timeout", "in order", "and nobody leaked"])
        sentence = f"{who} {did} {what} {how}."
        for word in f"{sentence[:1].upper()}{sentence[1:]}".split():
            time.sleep(0.06)
            text += f" {word}" if text else word
            yield text


def translate(text: str, target: str) -> str:
    """Translate into a tongue that needs no model."""
    if target == "Pig Latin":
        return " ".join(f"{word[1:]}{word[:1]}ay" for word in text.split())
    if target == "Leet":
        return text.translate(str.maketrans("aeiost", "431057"))
    return text[::-1]


def oracle(question: str) -> str:
    """Answer a question."""
    if not question.endswith("?"):
        raise gr.Error(
            "That was no question.", title="The oracle is offended", print_exception=False
        )
    answers = ["Yes.", "No.", "Ask again, with a timeout."]
    return random.choice(answers)  # noqa: S311 - no secret depends on an oracle


def build() -> gr.Blocks:
    """Lay out the page; each button is an endpoint."""
    with gr.Blocks(title="triojob demo") as app:
        with gr.Tab("Render"):
            view = gr.Dropdown(list(VIEWS), value="The whole set", label="view")
            rows = gr.Slider(1, 500, value=16, step=1, label="rows")
            picture = gr.Textbox(label="picture", lines=16)
            table = gr.JSON(label="runs")
            # Three run at once, the others wait in the queue: the demo shows this.
            gr.Button("Render").click(render, [view, rows], picture, concurrency_limit=3)
            # Responds at any time.
            gr.Button("Runs").click(runs, None, table, concurrency_limit=None)
        with gr.Tab("Words"):
            hero = gr.Textbox("Ada", label="hero")
            sentences = gr.Slider(1, 20, value=4, step=1, label="sentences")
            told = gr.Textbox(label="story", lines=6)
            gr.Button("Tell").click(story, [hero, sentences], told)
            text = gr.Textbox(label="text")
            target = gr.Dropdown(["Pig Latin", "Leet", "Mirror"], value="Pig Latin", label="target")
            translated = gr.Textbox(label="translation")
            gr.Button("Translate").click(translate, [text, target], translated)
            question = gr.Textbox(label="question")
            answer = gr.Textbox(label="answer")
            gr.Button("Ask").click(oracle, question, answer)
    return app


def exit_with_stdin() -> None:
    """End this process at once when stdin closes: the process that started it is gone."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Serve the app on the loopback interface, and print ``READY <url>``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    port = parser.parse_args().port
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    app = build()
    try:
        _, url, _ = app.launch(
            server_name="127.0.0.1",
            # With None, Gradio uses the first free port from 7860 up.
            server_port=port or None,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
        )
    except OSError as exc:
        sys.exit(str(exc))
    sys.stdout.write(f"READY {url}\n")
    sys.stdout.flush()
    app.block_thread()


if __name__ == "__main__":
    main()
