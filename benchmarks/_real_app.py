"""The real Gradio app of the benchmarks; `_replay.py` has the same endpoints without Gradio.

Run as ``python _real_app.py``: it serves on 127.0.0.1 and prints ``READY <port>``, and ends when
its stdin is closed.  Nothing here imports triojob.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

# Gradio reads these when it is imported: no telemetry, no look-ups, no Node server in front.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_SSR_MODE"] = "False"

import gradio as gr

MIB = 2**20
# More than the largest fan-out: Gradio runs at most this many events at once, whatever the
# endpoints' own limits are.
MAX_THREADS = 12_000
MESSAGE_STEPS = 50
"""After so many steps a chat has a new message."""

_stopped: dict[str, float] = {}


async def echo(text: str) -> str:
    return text


async def second(text: str) -> str:
    await asyncio.sleep(1)
    return text


async def text(n: float) -> AsyncIterator[str]:
    """Yield a text that grows by a word."""
    words = ""
    for step in range(int(n)):
        words += f"word{step} "
        yield words
        await asyncio.sleep(0)


async def chat(n: float) -> AsyncIterator[list[dict[str, str]]]:
    """Yield a chat whose last message grows by a word, with a new one now and then."""
    messages: list[dict[str, str]] = []
    for step in range(int(n)):
        if step % MESSAGE_STEPS == 0:
            role = "assistant" if len(messages) % 2 else "user"
            messages.append({"role": role, "content": ""})
        messages[-1]["content"] += f"word{step} "
        yield [dict(message) for message in messages]
        await asyncio.sleep(0)


async def endless(key: str) -> AsyncIterator[str]:
    """Yield a number every 10 ms until it is cancelled, and note when that was."""
    step = 0
    try:
        while True:
            yield str(step)
            step += 1
            await asyncio.sleep(0.01)
    finally:
        _stopped[key] = time.monotonic()


async def stopped(key: str) -> float | None:
    """Tell when the `endless` of this key was stopped, by the clock of this machine."""
    return _stopped.get(key)


async def size_of(file: str) -> int:
    """Take a file, and tell how many bytes it has."""
    return Path(file).stat().st_size


async def make_file(mib: float) -> str:
    """Return a file of so many MiB, which is made at the first call."""
    path = Path(os.environ["GRADIO_TEMP_DIR"]) / "made" / f"{int(mib)}.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for _ in range(int(mib)):
                file.write(os.urandom(MIB))
    return str(path)


def build() -> gr.Blocks:
    """Put the functions into an app; the order is that of the recorded `fn_index`."""
    with gr.Blocks(title="benchmarks") as demo:
        word, count = gr.Textbox(label="text"), gr.Number(label="n")
        out, conversation = gr.Textbox(label="out"), gr.Chatbot(label="chat")
        result = gr.JSON(label="result")
        file, made = gr.File(label="file"), gr.File(label="made")

        def endpoint(fn: Any, inputs: Any, outputs: Any) -> None:
            gr.Button(fn.__name__).click(
                fn, inputs, outputs, api_name=fn.__name__, concurrency_limit=None
            )

        endpoint(echo, word, out)
        endpoint(second, word, out)
        endpoint(text, count, out)
        endpoint(chat, count, conversation)
        endpoint(endless, word, out)
        endpoint(stopped, word, result)
        endpoint(size_of, file, result)
        endpoint(make_file, count, made)
    return demo


def exit_with_stdin() -> None:
    """End this process when stdin closes: a server must not outlive who started it."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def serve(demo: gr.Blocks, **options: Any) -> None:
    """Launch an app with these options, print its port, and serve until stdin is closed."""
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    demo.launch(
        server_name="127.0.0.1",
        server_port=int(sys.argv[1]) if len(sys.argv) > 1 else None,
        quiet=True,
        share=False,
        prevent_thread_lock=True,
        **options,
    )
    assert demo.local_url is not None
    print("READY", demo.local_url.rstrip("/").rpartition(":")[2], flush=True)
    demo.block_thread()


if __name__ == "__main__":
    app = build()
    app.queue(default_concurrency_limit=None)
    serve(app, show_error=True, max_threads=MAX_THREADS)
