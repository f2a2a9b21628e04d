"""One Gradio app that runs unchanged on every release from 3.50 to 6.

Run as ``python app.py WAITING USERNAME PASSWORD``: it serves three variants of itself on 127.0.0.1
and prints ``READY``, their ports, and the version of Gradio.

- wide: many calls at once; tells what its functions raise;
- narrow: one call of a function at once, and as many may wait as it is told;
- guarded: asks for the login that it is told; hides what its functions raise.

They are in one process because most of the time to start is Gradio's import.
Nothing here imports triojob or its tests: the Python that runs it is the old release's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

# Gradio reads these when it is imported: no telemetry, no look-ups, no Node server in front.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_SSR_MODE"] = "False"

import gradio as gr

IS_GRADIO_3 = gr.__version__.startswith("3.")
HOST = "127.0.0.1"
MANY = 150
"""How many calls run at once where many may, more than the tests make."""

# What runs did, by the `key` that the caller chose; `probe` hands it out.
_records: dict[str, dict[str, int]] = {}
_records_lock = threading.Lock()


def _note(key: str, what: str) -> None:
    with _records_lock:
        record = _records.setdefault(key, {})
        record[what] = record.get(what, 0) + 1


async def probe(key: str) -> str:
    """Tell as JSON how many runs with this ``key`` started, finished, were closed or cancelled.

    As text, because 5.50 makes a mess of other values outside the queue.
    """
    with _records_lock:
        return json.dumps(_records.get(key, {}))


def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello {name}!"


def add(a: float, b: float) -> tuple[float, float]:
    return a + b, a * b


def tokens(n: float) -> Iterator[str]:
    text = ""
    for i in range(int(n)):
        text += f" tok{i}" if text else f"tok{i}"
        yield text


def table(n: float) -> Iterator[list[list[str]]]:
    """Stream rows that come, change and go one by one, for edits to follow."""
    for i in range(int(n)):
        yield [[f"r{row}", f"step {i // 2}"] for row in range(1 + abs(4 - i % 8))]


def reshaped(n: float) -> Iterator[list[list[str]]]:
    """Stream rows and columns that go several at once, at which Gradio's own edits go wrong."""
    for i in range(int(n)):
        rows, columns = (1 + i % 4, 1 + (i * 2) % 3)
        yield [[f"r{row}c{column}" for column in range(columns)] for row in range(rows)]


def nested(n: float) -> Iterator[dict[str, Any]]:
    """Stream an object that grows inside."""
    value: dict[str, Any] = {"done": False, "items": []}
    for i in range(int(n)):
        value["items"].append({"i": i, "text": "x" * i})
        yield value
    yield {**value, "done": True}


def progress(n: float, tracker: gr.Progress = gr.Progress()) -> str:
    for i in range(int(n)):
        tracker((i, int(n)), desc=f"step {i}", unit="steps")
        time.sleep(0.2)  # the server sends what is new a few times a second
    return f"{int(n)} steps"


def log(text: str) -> str:
    gr.Info(f"info {text}")
    gr.Warning(f"warning {text}")
    return text


def bump(state: int | None) -> tuple[int, int]:
    """Count the calls of a session."""
    state = (state or 0) + 1
    return state, state


def fail(message: str) -> str:
    raise gr.Error(message)


def fail_hard(message: str) -> str:
    raise ValueError(message)


def fail_midway(message: str) -> Iterator[str]:
    yield "one"
    yield "two"
    raise gr.Error(message)


async def nap(seconds: float, key: str) -> str:
    """Sleep, as a coroutine; the app has a function that cancels it."""
    return await _sleep(seconds, key)


async def lone_nap(seconds: float, key: str) -> str:
    """Sleep, as a coroutine; the app has no function that cancels it."""
    return await _sleep(seconds, key)


async def _sleep(seconds: float, key: str) -> str:
    _note(key, "started")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _note(key, "cancelled")
        raise
    _note(key, "finished")
    return f"slept {key}"


def block(seconds: float, key: str) -> str:
    """Sleep, in a thread, which nothing can cancel."""
    _note(key, "started")
    time.sleep(seconds)
    _note(key, "finished")
    return f"slept {key}"


def ticker(n: float, delay: float, key: str) -> Iterator[str]:
    _note(key, "started")
    try:
        for i in range(int(n)):
            time.sleep(delay)
            _note(key, "steps")
            yield str(i)
    except GeneratorExit:
        _note(key, "closed")
        raise
    _note(key, "finished")


async def ticker_async(n: float, delay: float, key: str) -> AsyncIterator[str]:
    _note(key, "started")
    try:
        for i in range(int(n)):
            await asyncio.sleep(delay)
            _note(key, "steps")
            yield str(i)
    except (GeneratorExit, asyncio.CancelledError):
        _note(key, "closed")
        raise
    _note(key, "finished")


def upper_file(file: Any) -> str:
    """Upper-case a text file; old releases hand over a file object, newer ones its path."""
    source = Path(getattr(file, "name", file))
    result = source.with_name("upper.txt")
    result.write_text(source.read_text(encoding="utf-8").upper(), encoding="utf-8")
    return str(result)


def build(**settings: Any) -> gr.Blocks:
    """Make the app; the settings are those of each listener."""
    with gr.Blocks(title="eras") as demo:
        text, key, out = gr.Textbox(label="text"), gr.Textbox(label="key"), gr.Textbox(label="out")
        numbers = [gr.Number(label=label) for label in ("a", "b", "sum", "product")]
        n, result = gr.Number(label="n"), gr.JSON(label="result")
        rows, count = gr.Dataframe(label="rows"), gr.Number(label="count")
        file_in, file_out = gr.File(label="in"), gr.File(label="out")
        state = gr.State(0)

        def endpoint(fn: Any, inputs: Any, outputs: Any, **options: Any) -> Any:
            options.setdefault("api_name", fn.__name__)
            return gr.Button(options["api_name"]).click(fn, inputs, outputs, **settings, **options)

        endpoint(greet, text, out)
        endpoint(add, numbers[:2], numbers[2:])
        endpoint(tokens, n, out)
        endpoint(table, n, rows)
        endpoint(reshaped, n, rows)
        endpoint(nested, n, result)
        endpoint(progress, n, out)
        endpoint(log, text, out)
        endpoint(bump, state, [state, count])
        endpoint(fail, text, out)
        endpoint(fail_hard, text, out)
        endpoint(fail_midway, text, out)
        napping = endpoint(nap, [n, key], out)
        endpoint(lone_nap, [n, key], out)
        endpoint(block, [n, key], out)
        endpoint(ticker, [n, numbers[0], key], out)
        endpoint(ticker_async, [n, numbers[0], key], out)
        endpoint(upper_file, file_in, file_out)
        # Outside the queue: they must answer while everything else is busy.
        endpoint(probe, key, out, queue=False)
        endpoint(greet, text, out, api_name="direct", queue=False)
        gr.Button("stop").click(None, None, None, cancels=[napping])
    return demo


def launch(*, at_once: int, waiting: int | None = None, auth: Any = None) -> int:
    """Serve the app; return its port."""
    # Gradio 3 has a limit for all functions together, its successors have one for each function.
    if IS_GRADIO_3:
        demo = build()
        demo.queue(max_size=waiting, concurrency_count=at_once)
    else:
        demo = build(concurrency_limit=at_once)
        demo.queue(max_size=waiting)
    for attempts_left in reversed(range(3)):
        try:
            demo.launch(
                server_name=HOST,
                server_port=free_port(),
                quiet=True,
                share=False,
                prevent_thread_lock=True,
                show_error=auth is None,
                auth=auth,
                max_threads=MANY,
            )
            break
        except OSError:
            # Between our looking and Gradio's binding, somebody else took the port.
            if not attempts_left:
                raise
    return int(demo.local_url.rstrip("/").rpartition(":")[2])


def free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind((HOST, 0))
        return int(probe_socket.getsockname()[1])


def main() -> None:
    waiting, username, password = sys.argv[1:]
    wide = launch(at_once=MANY)
    narrow = launch(at_once=1, waiting=int(waiting))
    guarded = launch(at_once=MANY, auth=(username, password))
    print("READY", wide, narrow, guarded, gr.__version__, flush=True)
    # A server must not outlive the tests that started it, however they end.
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
