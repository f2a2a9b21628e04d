"""One real Gradio app with an endpoint for each thing that triojob has to get right.

Run as ``python gradio_app.py``: it serves on 127.0.0.1 and prints ``READY <port>``.
It runs in a process of its own, so that a test can kill it, and so that Gradio's warnings stay out
of the tests.
Nothing here imports triojob.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

# Gradio reads these when it is imported: no telemetry, no look-ups, no Node server in front.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_SSR_MODE"] = "False"

import gradio as gr
from PIL import Image, ImageOps
from starlette.middleware import Middleware

HOST = "127.0.0.1"
USERNAME, PASSWORD = "trio", "s3cret"
OTHER_USERS = {"ada": "l0velace", "grace": "h0pper"}
"""Who else may log in with ``--auth``, and by which password."""
COUNT_HEADER = "x-count-streams"
"""Event streams with this header are counted in the record of the key that it names."""

# More than the largest fan-out of the tests: Gradio runs at most this many events at once, whatever
# the endpoints' own limits are.
MAX_THREADS = 700

# What runs did, by the `key` that the caller chose; `probe` hands it out.
_records: dict[str, dict[str, Any]] = {}
_records_lock = threading.Lock()


def _note(key: str, **changes: Any) -> None:
    """Add numbers up and set all else in the record of `key`."""
    with _records_lock:
        record = _records.setdefault(key, {})
        for name, value in changes.items():
            is_count = isinstance(value, int) and not isinstance(value, bool)
            record[name] = record.get(name, 0) + value if is_count else value


def probe(key: str) -> dict[str, Any]:
    """Tell what the runs with this `key` did so far."""
    with _records_lock:
        return dict(_records.get(key, {}))


_runs: dict[str, set[asyncio.Task[Any]]] = {}
"""The tasks of runs on the event loop that go on, by key."""


def _note_run(key: str) -> None:
    task, tasks = asyncio.current_task(), _runs.setdefault(key, set())
    assert task is not None
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def runs(key: str) -> int:
    """Tell how many runs of `ticker_async` with this key go on.

    One that has stopped need not have been closed.  Gradio keeps a generator only when its first
    output has been post-processed, in a thread; cancelled before that, it is dropped, and stays
    as it is for as long as Python keeps the traceback of the cancellation.
    """
    return len(_runs.get(key, ()))


class StreamCounter:
    """Counts the event streams that are open, and the most that ever were: ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        key = None
        if scope["type"] == "http" and scope["path"].endswith("/queue/data"):
            key = dict(scope["headers"]).get(COUNT_HEADER.encode())
        if key is None:
            await self._app(scope, receive, send)
            return
        name, is_open = key.decode(), True
        _note(name, open=1, streams=1)
        with _records_lock:
            record = _records[name]
            record["most"] = max(record.get("most", 0), record["open"])

        def close() -> None:
            nonlocal is_open
            if is_open:
                is_open = False
                _note(name, open=-1)

        async def send_and_watch(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                # The client may take this for the end, and open another, before we are done here.
                close()
            await send(message)

        try:
            await self._app(scope, receive, send_and_watch)
        finally:
            close()


# --- Values ---


def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello {name}!"


def add(a: float, b: float) -> tuple[float, float]:
    return a + b, a * b


def defaults(
    text: str, n: float, choice: str, free: str, flag: bool, picks: list[str], required: str
) -> dict[str, Any]:
    return {
        "text": text,
        "n": n,
        "choice": choice,
        "free": free,
        "flag": flag,
        "picks": picks,
        "required": required,
    }


def optional(text: str, suffix: str | None = None) -> str:
    """Has no value in its component, but None in its signature: optional all the same."""
    return text + (suffix or "")


def echo(value: Any) -> Any:
    return value


def selected(text: str, event: gr.SelectData) -> dict[str, Any]:
    """Tell what was selected, and in which component."""
    target = getattr(event.target, "label", None)
    return {"text": text, "index": event.index, "value": event.value, "target": target}


def no_output(text: str) -> None:
    """Has no output component at all."""


def update_props(text: str) -> Any:
    """Return a property update in place of a value."""
    return gr.update(label="changed", value=text.upper())


def update_props_only() -> Any:
    """Return a property update that leaves the value alone."""
    return gr.update(label="changed")


def update_samples(path: str) -> Any:
    """Return a property update with a file deep in it."""
    return gr.Dataset(samples=[[path]])


def big(size: float) -> str:
    return "x" * int(size)


def upper_batch(texts: list[str]) -> list[list[str]]:
    """Take many callers' samples at once, as Gradio's batching hands them over."""
    return [[text.upper() for text in texts]]


def slow_batch(texts: list[str], keys: list[str]) -> list[list[str]]:
    """Take a while for at most two callers' samples at once."""
    for key in keys:
        _note(key, started=1, at_once=len(keys))
    time.sleep(1)
    for key in keys:
        _note(key, finished=1)
    return [[text.upper() for text in texts]]


RAW_TEXT = "one\u2028two\u2029three\u0085four\x0bfive \U0001f600 caf\u00e9\r\nsix"


def raw_text() -> str:
    """Send line separators, raw: an event stream's lines don't end there."""
    return RAW_TEXT


def same(*values: Any) -> Any:
    """Hand values of many kinds of components back as they came."""
    return values


def labelled(text: str) -> dict[str, float]:
    return {text: 0.75, "other": 0.25}


def skip_one(text: str) -> tuple[Any, str]:
    """Leave the first output as it is."""
    return gr.skip(), text.upper()


def between(text: str, state: int, second: str) -> tuple[str, int, str]:
    """Has a State in the midst of its inputs and of its outputs."""
    return f"{text}{state}", state + 1, f"{second}{state}"


def odd_json() -> dict[str, Any]:
    return {
        "nan": float("nan"),
        "infinity": float("inf"),
        "text": RAW_TEXT,
        "path": "/not/a/file",
        "nested": [[1, [2]], {"3": None}],
    }


def upper_file(path: str) -> str:
    """Upper-case an uploaded file, into a file beside it."""
    source = Path(path)
    result = source.with_name("upper.txt")
    result.write_text(source.read_text(encoding="utf-8").upper(), encoding="utf-8")
    return str(result)


def mirror(image: Image.Image) -> Image.Image:
    """Turn an image left to right."""
    return ImageOps.mirror(image)


def join_files(paths: list[str] | None) -> list[str]:
    """Hand several files back, in order."""
    return list(paths or [])


# --- Streams ---


def count(n: float, delay: float) -> Iterator[str]:
    for i in range(int(n)):
        time.sleep(delay)
        yield str(i)


def tokens(n: float, delay: float) -> Iterator[str]:
    text = ""
    for i in range(int(n)):
        time.sleep(delay)
        text += f" tok{i}" if text else f"tok{i}"
        yield text


def lists(n: float) -> Iterator[list[list[str]]]:
    """Stream a table that grows and shrinks in both directions.

    Gradio replaces a JSON component's value whole; a Dataframe's it does take apart.
    """
    for i in range(int(n)):
        rows, columns = (1 + i % 4, 1 + (i * 2) % 3)
        yield [[f"r{row}c{column}" for column in range(columns)] for row in range(rows)]


def corrupting_lists() -> Iterator[list[list[str]]]:
    """Shrink outer and inner lists in one step, which Gradio's edits get wrong."""
    yield [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]
    yield [["a"], ["d"]]


def spans(n: float) -> Iterator[list[tuple[str, str | None]]]:
    """Stream highlighted text: a list of objects; the last one grows, the next is added."""
    done: list[tuple[str, str | None]] = []
    for i in range(int(n)):
        yield [*done, (f"w{i}", None)]
        done.append((f"w{i} full", "even" if i % 2 == 0 else "odd"))
        yield list(done)


def chat(message: str, n: float, delay: float) -> Iterator[list[dict[str, str]]]:
    history = [{"role": "user", "content": message}, {"role": "assistant", "content": ""}]
    for i in range(int(n)):
        time.sleep(delay)
        history[-1]["content"] += f"tok{i} "
        yield history


def converse(message: str, history: list[dict[str, Any]]) -> Iterator[str]:
    """Answer word by word, as a chatbot: `gr.ChatInterface` keeps the history by session."""
    answer = f"You said {message!r} after {len(history)} messages."
    if "everything" in message:
        answer += " And so on." * 100
    said = ""
    for word in answer.split():
        time.sleep(_STEP)
        said = f"{said} {word}".lstrip()
        yield said


def two_streams(n: float) -> Iterator[tuple[str, str]]:
    """Stream two outputs, of which the second changes only every third time."""
    for i in range(int(n)):
        yield f"fast {i}", f"slow {i // 3}"


def nothing() -> Iterator[str]:
    """Yield nothing at all."""
    yield from ()


def alternating(n: float) -> Iterator[Any]:
    """Yield plain values and property updates in turn."""
    for i in range(int(n)):
        yield f"plain {i}" if i % 2 == 0 else gr.update(value=f"update {i}", label=f"label {i}")


@gr.cache
def cached_count(n: float, text: str) -> Iterator[str]:
    """Stream from the cache the second time: Gradio then answers before it names the event."""
    for i in range(int(n)):
        yield f"{text} {i}"


def pictures(n: float) -> Iterator[list[tuple[str, str]]]:
    """Stream a gallery that grows: its files come as edits of the value before."""
    shown: list[tuple[str, str]] = []
    for i in range(int(n)):
        # The smallest GIF there is, and a byte more each time: Gradio names folders by content.
        content = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00"
        content += b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;" + b"." * i
        path = Path(tempfile.mkdtemp()) / f"picture {i}.gif"
        path.write_bytes(content)
        shown = [*shown, (str(path), f"picture {i}")]
        yield shown


def radio(n: float, delay: float) -> Iterator[bytes]:
    """Stream sound, part by part."""
    for i in range(int(n)):
        time.sleep(delay)
        yield f"part {i};".encode()


def plain_chunk(_output_id: str, data: bytes) -> dict[str, Any]:
    """Take a part of a sound as it is: encoding it would need ffmpeg."""
    return {"data": data, "duration": 0.5, "extension": ".aac"}


# --- Progress and logs ---

# Gradio samples progress every 10 ms and drops what comes in between.
_STEP = 0.05


def progress_float(n: float, progress: gr.Progress = gr.Progress()) -> str:
    for i in range(int(n)):
        progress(i / n, desc=f"step {i}")
        time.sleep(_STEP)
    return "done"


def progress_tuple(n: float, progress: gr.Progress = gr.Progress()) -> str:
    for i in range(int(n)):
        progress((i, int(n)), desc="counted", unit="pages")
        time.sleep(_STEP)
    progress((int(n), None), desc="of unknown length")
    time.sleep(_STEP)
    return "done"


def progress_tqdm(n: float, progress: gr.Progress = gr.Progress()) -> str:
    for _ in progress.tqdm(range(int(n)), desc="loop", unit="files"):
        time.sleep(_STEP)
    return "done"


def progress_nested(n: float, progress: gr.Progress = gr.Progress()) -> str:
    for _ in progress.tqdm(range(int(n)), desc="outer"):
        for _ in progress.tqdm(range(3), desc="inner"):
            time.sleep(_STEP)
    return "done"


def progress_generator(n: float, progress: gr.Progress = gr.Progress()) -> Iterator[str]:
    """Report progress between yields."""
    for i in range(int(n)):
        progress(i / n, desc=f"step {i}")
        time.sleep(_STEP)
        yield f"part {i}"


def typeset(
    pages: float, delay: float, key: str, progress: gr.Progress = gr.Progress()
) -> Iterator[str]:
    """Set page after page, and tell of the progress."""
    if pages < 1:
        raise gr.Error("no pages", print_exception=False)
    _note(key, started=1)
    try:
        for i in range(int(pages)):
            progress((i, int(pages)), desc="setting", unit="pages")
            time.sleep(delay)
            yield f"page {i + 1}"
        gr.Info("all pages are set")
        _note(key, finished=1)
    finally:
        _note(key, closed=1)


def logs() -> str:
    gr.Info("for your information", title="Note", duration=2)
    gr.Warning("mind the gap", title="Careful", duration=None)
    gr.Success("well done")
    time.sleep(_STEP)
    return "logged"


# --- State ---


def bump(state: int) -> tuple[int, int]:
    return state + 1, state + 1


def bump_slow(delay: float, state: int) -> Iterator[tuple[int, int]]:
    """Count up the state, a hundred times unless it is cancelled."""
    for _ in range(100):
        time.sleep(delay)
        state += 1
        yield state, state


def unloaded(request: gr.Request) -> None:
    """Note which session has ended."""
    _note(f"unload {request.session_hash}", unloaded=1)


def who(request: gr.Request) -> str:
    return str(request.session_hash)


def whoami(request: gr.Request) -> str:
    return str(request.username)


def header(name: str, request: gr.Request) -> str:
    """Tell a header of the request that joined the queue."""
    return str(request.headers.get(name))


def headers(request: gr.Request) -> dict[str, str]:
    """Tell all headers of the request that joined the queue."""
    return dict(request.headers)


def act(name: str, token: gr.OAuthToken) -> str:
    """Act with the token of whoever calls: show its length and end, as a test may see."""
    return f"{name} with {len(token.token)} characters up to {token.token[-4:]}"


def act_if_allowed(name: str, token: gr.OAuthToken | None) -> str:
    """Act with a token, if there is one."""
    return f"{name} without" if token is None else act(name, token)


def running_total(number: float, total: float) -> tuple[float, float]:
    """Add a number to the session's total: one of many inputs to one call."""
    return total + number, total + number


async def shout(text: str, key: str) -> str:
    """Upper-case each of many inputs; take a while for some."""
    _note(key, inputs=1)
    if text == "fail":
        raise gr.Error("no shouting", print_exception=False)
    if text == "slow":
        await slow(30, key)
    return text.upper()


# --- Failures ---


def fail() -> str:
    raise gr.Error("boom", duration=3, visible=True, title="Oops", print_exception=False)


def fail_hard() -> str:
    raise ValueError("kaput")


def fail_midway() -> Iterator[str]:
    yield "one"
    yield "two"
    raise gr.Error("midway", duration=4, title="Half", print_exception=False)


def fail_hard_midway() -> Iterator[str]:
    yield "one"
    raise ValueError("kaput midway")


def check_person(name: str, age: float) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        gr.validate(bool(name), "A name is needed."),
        gr.validate(0 <= (age or 0) <= 150, "Nobody is of that age."),
    )


def validated(name: str, age: float) -> str:
    return f"{name} is {age}"


# --- Runs whose end a test wants to see ---


async def slow(seconds: float, key: str) -> str:
    """Sleep, and note how that ended."""
    _note(key, started=1)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _note(key, cancelled=1)
        raise
    else:
        _note(key, finished=1)
    return f"slept {seconds}"


def ticker(n: float, delay: float, key: str) -> Iterator[str]:
    """Tick in a thread, as the generators of most apps do: /cancel waits for the current step."""
    _note(key, started=1)
    try:
        for i in range(int(n)):
            time.sleep(delay)
            _note(key, steps=1)
            yield str(i)
        _note(key, finished=1)
    finally:
        _note(key, closed=1)


async def ticker_async(n: float, delay: float, key: str) -> AsyncIterator[str]:
    """Tick on the server's event loop, where /cancel takes effect at once."""
    _note_run(key)
    _note(key, started=1)
    try:
        for i in range(int(n)):
            await asyncio.sleep(delay)
            _note(key, steps=1)
            yield str(i)
        _note(key, finished=1)
    finally:
        _note(key, closed=1)


async def sleeper(seconds: float, key: str) -> str:
    """Sleep, one caller at a time."""
    return await slow(seconds, key)


async def parallel_sleep(seconds: float, value: str) -> str:
    """Sleep beside any number of others, and give `value` back."""
    _note("parallel_sleep", started=1)
    await asyncio.sleep(seconds)
    _note("parallel_sleep", finished=1)
    return value


async def parallel_count(n: float, delay: float) -> AsyncIterator[str]:
    """Count beside any number of others."""
    for i in range(int(n)):
        await asyncio.sleep(delay)
        yield str(i)


# --- The app ---


def build() -> gr.Blocks:
    """Lay the endpoints out, each behind a button of its own."""
    with gr.Blocks(title="triojob test app") as demo:
        text, out = gr.Textbox(label="text"), gr.Textbox(label="out")
        name, key = gr.Textbox(label="name"), gr.Textbox(label="key")
        a, b, n = gr.Number(label="a"), gr.Number(label="b"), gr.Number(label="n")
        total, product = gr.Number(label="sum"), gr.Number(label="product")
        seconds, delay = gr.Number(label="seconds"), gr.Number(label="delay")
        value, result = gr.JSON(label="value"), gr.JSON(label="result")
        second = gr.Textbox(label="second")
        table = gr.Dataframe(label="table", type="array")
        highlighted = gr.HighlightedText(label="highlighted")
        chatbot = gr.Chatbot(label="chat")
        state, counter = gr.State(0), gr.Number(label="counter")
        file_in, file_out = gr.File(label="file"), gr.File(label="result file")
        files_in = gr.File(label="files", file_count="multiple")
        files_out = gr.File(label="result files", file_count="multiple")

        some_text = gr.Textbox(label="text", value="x")
        some_number = gr.Slider(0, 10, value=3, step=1, label="n")
        choice = gr.Dropdown(["red", "green", "blue"], value="green", label="choice")
        free = gr.Dropdown(["a", "b"], value="a", allow_custom_value=True, label="free")
        flag = gr.Checkbox(label="flag", value=True)
        picks = gr.CheckboxGroup(["one", "two", "three"], value=["one", "two"], label="picks")
        required = gr.Textbox(label="required")

        def endpoint(fn: Any, inputs: Any, outputs: Any, **options: Any) -> Any:
            options.setdefault("api_name", fn.__name__)
            return gr.Button(options["api_name"]).click(fn, inputs, outputs, **options)

        endpoint(greet, name, out)
        endpoint(add, [a, b], [total, product])
        endpoint(defaults, [some_text, some_number, choice, free, flag, picks, required], result)
        endpoint(optional, [text, second], out)
        endpoint(echo, value, result, concurrency_limit=None)
        endpoint(no_output, text, None)
        endpoint(update_props, text, out)
        endpoint(update_props_only, None, out)
        endpoint(big, n, out)
        endpoint(upper_batch, text, out, batch=True, max_batch_size=8)
        endpoint(slow_batch, [text, key], out, batch=True, max_batch_size=2, concurrency_limit=1)
        endpoint(raw_text, None, out)
        endpoint(odd_json, None, result)
        endpoint(upper_file, file_in, file_out)
        endpoint(join_files, files_in, files_out)
        samples = gr.Dataset(components=[gr.Image(type="filepath")], samples=[], label="samples")
        endpoint(update_samples, file_in, samples)

        kinds = [text, a, flag, choice, picks, gr.Radio(["x", "y"], label="radio")]
        kinds += [some_number, table, value, chatbot, gr.ColorPicker(label="color")]
        kinds += [gr.Code(label="code"), gr.Dropdown(["p", "q"], label="many", multiselect=True)]
        endpoint(same, kinds, kinds, api_name="same_values")
        media = [gr.Image(label="image", type="filepath"), gr.Audio(label="audio", type="filepath")]
        media += [gr.Video(label="video"), file_in, gr.Gallery(label="shown", type="filepath")]
        endpoint(same, media, media, api_name="same_media")
        endpoint(labelled, text, gr.Label(label="label"))
        endpoint(skip_one, text, [out, second])
        endpoint(between, [text, state, second], [out, state, second])

        gallery, speaker = gr.Gallery(label="gallery"), gr.Audio(label="radio", streaming=True)
        speaker._encode_chunk = plain_chunk
        endpoint(pictures, n, gallery)
        endpoint(radio, [n, delay], speaker)

        endpoint(count, [n, delay], out)
        endpoint(tokens, [n, delay], out)
        endpoint(lists, n, table)
        endpoint(corrupting_lists, None, table)
        endpoint(spans, n, highlighted)
        endpoint(chat, [text, n, delay], chatbot)
        endpoint(two_streams, n, [out, second])
        endpoint(nothing, None, out)
        endpoint(alternating, n, out)

        endpoint(progress_float, n, out)
        endpoint(progress_tuple, n, out)
        endpoint(progress_tqdm, n, out)
        endpoint(progress_nested, n, out)
        endpoint(progress_generator, n, out)
        endpoint(typeset, [n, delay, key], out)
        endpoint(logs, None, out)

        endpoint(bump, state, [state, counter])
        endpoint(bump_slow, [delay, state], [state, counter])
        endpoint(who, None, out)
        endpoint(whoami, None, out)
        endpoint(header, name, out)
        endpoint(headers, None, result)
        endpoint(act, name, out)
        endpoint(act_if_allowed, name, out)

        endpoint(fail, None, out)
        endpoint(fail_hard, None, out)
        endpoint(fail_midway, None, out)
        endpoint(fail_hard_midway, None, out)
        endpoint(validated, [name, a], out, validator=check_person)

        running = endpoint(slow, [seconds, key], out)
        endpoint(ticker, [n, delay, key], out)
        endpoint(ticker_async, [n, delay, key], out, concurrency_limit=None)
        endpoint(sleeper, [seconds, key], out, concurrency_limit=1)
        endpoint(parallel_sleep, [seconds, text], out, concurrency_limit=None)
        endpoint(parallel_count, [n, delay], out, concurrency_limit=None)
        # A queue of its own without a limit: it must answer while everything else is busy.
        endpoint(probe, key, result, concurrency_limit=None)

        endpoint(greet, name, out, api_name="hidden", api_visibility="private")
        endpoint(greet, name, out, api_name="quiet", api_visibility="undocumented")
        endpoint(greet, name, out, api_name="direct", queue=False)
        # Neither has a function on the server, so neither can be called.
        gr.Button("js").click(None, name, out, js="(name) => name")
        gr.Button("stop").click(None, None, None, cancels=[running])
        endpoint(cached_count, [n, text], out)
        demo.unload(unloaded)
        endpoint(selected, text, result)

        # A browser sends picture after picture to these; numbers and words do as well.
        camera = gr.Image(label="camera", sources="webcam", streaming=True)
        for fn, inputs, outputs in (
            (running_total, [n, state], [state, counter]),
            (shout, [text, key], out),
        ):
            camera.stream(
                fn, inputs, outputs, time_limit=20, concurrency_limit=None, api_name=fn.__name__
            )

        # Gradio makes the first of these another "twin_1": no name, then, is sure to be unique.
        endpoint(greet, name, out, api_name="twin")
        with gr.Blocks() as inner:
            named, secret = gr.Textbox(label="named"), gr.Textbox("hidden", label="secret")
            endpoint(lambda who: f"public {who}", named, out, api_name="twin")
            quiet = {"api_name": "twin_1", "api_visibility": "undocumented"}
            endpoint(lambda secret: f"quiet {secret}", secret, out, **quiet)
        inner.render()

        endpoint(mirror, gr.Image(type="pil"), gr.Image(type="pil", format="png"))
        gr.ChatInterface(converse, api_name="converse")
        endpoint(runs, key, result, concurrency_limit=None)

        @gr.render(inputs=n, triggers=[gr.Button("render").click])
        def boxes(count: float) -> None:
            """Make so many boxes, each with two functions that exist in this session only."""
            for i in range(int(count)):
                box = gr.Textbox(label=f"box {i}")
                gr.Button("say").click(
                    lambda said, i=i: f"{i}: {said}", box, out, api_name=f"say_{i}"
                )
                gr.Button("bump").click(bump, state, [state, counter], api_name=f"bump_{i}")

    return demo


def free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind((HOST, 0))
        return int(probe_socket.getsockname()[1])


def serve(demo: gr.Blocks, arguments: list[str]) -> None:
    """Serve an app as those arguments say, and print where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument(
        "--auth", action="store_true", help=f"ask for a login, such as {USERNAME} / {PASSWORD}"
    )
    parser.add_argument("--hide-errors", action="store_true", help="mask what functions raise")
    parser.add_argument("--queue-size", type=int, help="how many events may wait")
    parser.add_argument("--limit-concurrency", type=int, help="uvicorn's option of that name")
    parser.add_argument("--max-file-size", help="of an upload, such as 1mb")
    options = parser.parse_args(arguments)
    demo.queue(max_size=options.queue_size, default_concurrency_limit=40)
    for attempts_left in reversed(range(3)):
        port = options.port or free_port()
        try:
            demo.launch(
                server_name=HOST,
                server_port=port,
                quiet=True,
                share=False,
                prevent_thread_lock=True,
                show_error=not options.hide_errors,
                auth=[(USERNAME, PASSWORD), *OTHER_USERS.items()] if options.auth else None,
                max_threads=MAX_THREADS,
                max_file_size=options.max_file_size,
                app_kwargs={"middleware": [Middleware(StreamCounter)]},
            )
            break
        except OSError:
            # Between our looking and Gradio's binding, somebody else took the port.
            if options.port or not attempts_left:
                raise
    # Each connection that is made reads it.
    demo.server.config.limit_concurrency = options.limit_concurrency
    print("READY", demo.local_url.rstrip("/").rpartition(":")[2], flush=True)


def main(build: Callable[[], gr.Blocks] = build) -> None:
    """Serve the app as the command line says, and once more as each line of stdin says.

    It ends when stdin is closed: a server must not outlive the tests that started it.
    """
    serve(build(), sys.argv[1:])
    for line in sys.stdin:
        serve(build(), line.split())
    os._exit(0)


if __name__ == "__main__":
    main()
