"""The app that the examples of the guides call: `pip install gradio`, then `python app.py`."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

# --- Values ---


def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello {name}!"


def add(a: float, b: float) -> tuple[float, float]:
    """Return the sum and the product."""
    return a + b, a * b


def check_person(name: str, age: float) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        gr.validate(bool(name), "A name is needed."),
        gr.validate(0 <= (age or 0) <= 150, "Nobody is of that age."),
    )


def validated(name: str, age: float) -> str:
    return f"{name} is {age}"


def fail() -> str:
    raise gr.Error("boom", title="Oops", print_exception=False)


def upper_batch(texts: list[str]) -> list[list[str]]:
    """Take the texts of several calls at once."""
    return [[text.upper() for text in texts]]


def act(name: str, token: gr.OAuthToken) -> str:
    """Act with the caller's token."""
    return f"{name} with {len(token.token)} characters up to {token.token[-4:]}"


# --- Files ---


def upper_file(path: str) -> str:
    """Write an upper-case copy."""
    copy = Path(path).with_name("upper.txt")
    copy.write_text(Path(path).read_text(encoding="utf-8").upper(), encoding="utf-8")
    return str(copy)


def join_files(paths: list[str] | None) -> list[str]:
    """Return several files, in order."""
    return list(paths or [])


def mirror(image: Image.Image) -> Image.Image:
    """Flip an image left to right."""
    return ImageOps.mirror(image)


def radio(n: float, delay: float) -> Iterator[bytes]:
    """Stream audio in segments."""
    for i in range(int(n)):
        time.sleep(delay)
        yield f"part {i};".encode()


def unencoded(_output_id: str, data: bytes) -> dict[str, Any]:
    """Send a segment as it is, because encoding it needs ffmpeg."""
    return {"data": data, "duration": 0.5, "extension": ".aac"}


# --- Streams ---


def tokens(n: float, delay: float) -> Iterator[str]:
    text = ""
    for i in range(int(n)):
        time.sleep(delay)
        text += f" tok{i}" if text else f"tok{i}"
        yield text


def chat(message: str, n: float, delay: float) -> Iterator[list[dict[str, str]]]:
    history = [{"role": "user", "content": message}, {"role": "assistant", "content": ""}]
    for i in range(int(n)):
        time.sleep(delay)
        history[-1]["content"] += f"tok{i} "
        yield history


def converse(message: str, history: list[dict[str, Any]]) -> Iterator[str]:
    """Respond word by word."""
    answer = f"You said {message!r} after {len(history)} messages."
    if "everything" in message:
        answer += " And so on." * 100
    said = ""
    for word in answer.split():
        time.sleep(0.05)
        said = f"{said} {word}".lstrip()
        yield said


def typeset(
    pages: float, delay: float, key: str, progress: gr.Progress = gr.Progress()
) -> Iterator[str]:
    """Typeset page after page, with progress."""
    for i in range(int(pages)):
        progress((i, int(pages)), desc="setting", unit="pages")
        time.sleep(delay)
        yield f"page {i + 1}"


def running_total(number: float, total: float) -> tuple[float, float]:
    """Add a number to the session's total."""
    return total + number, total + number


# --- What runs long, and a record of it ---

records: dict[str, dict[str, Any]] = defaultdict(dict)


async def slow(seconds: float, key: str) -> str:
    await asyncio.sleep(seconds)
    return f"slept {seconds}"


async def parallel_sleep(seconds: float, value: str) -> str:
    """Sleep, beside any number of other calls, and count the calls."""
    record = records["parallel_sleep"]
    record["started"] = record.get("started", 0) + 1
    await asyncio.sleep(seconds)
    return value


def ticker(n: float, delay: float, key: str) -> Iterator[str]:
    """Tick, and record under the key how many steps ran and how they ended."""
    record = records[key]
    try:
        for i in range(int(n)):
            time.sleep(delay)
            record["steps"] = i + 1
            yield str(i)
        record["finished"] = True
    finally:
        record["closed"] = True


def probe(key: str) -> dict[str, Any]:
    """Return the record of a key."""
    return records[key]


# --- What changes the page ---


def selected(text: str, event: gr.SelectData) -> dict[str, Any]:
    """Tell what was selected, and in which component."""
    target = getattr(event.target, "label", None)
    return {"text": text, "index": event.index, "value": event.value, "target": target}


def update_props(text: str) -> Any:
    return gr.update(label="changed", value=text.upper())


def update_props_only() -> Any:
    return gr.update(label="changed")


# --- The page ---

with gr.Blocks() as demo:
    text, out = gr.Textbox(label="text"), gr.Textbox(label="out")
    name, key = gr.Textbox(label="name"), gr.Textbox(label="key")
    a, b, n = gr.Number(label="a"), gr.Number(label="b"), gr.Number(label="n")
    total, product = gr.Number(label="sum"), gr.Number(label="product")
    seconds, delay = gr.Number(label="seconds"), gr.Number(label="delay")
    result, state = gr.JSON(label="result"), gr.State(0)
    file, files = gr.File(label="file"), gr.File(label="files", file_count="multiple")
    speaker = gr.Audio(label="radio", streaming=True)
    speaker._encode_chunk = unencoded

    def endpoint(fn: Any, inputs: Any, outputs: Any, **options: Any) -> None:
        """Put a function behind a button."""
        gr.Button(fn.__name__).click(fn, inputs, outputs, api_name=fn.__name__, **options)

    endpoint(greet, name, out)
    endpoint(add, [a, b], [total, product])
    endpoint(validated, [name, a], out, validator=check_person)
    endpoint(fail, None, out)
    endpoint(upper_batch, text, out, batch=True, max_batch_size=8)
    endpoint(act, name, out)
    endpoint(upper_file, file, gr.File(label="result file"))
    endpoint(join_files, files, gr.File(label="result files", file_count="multiple"))
    endpoint(mirror, gr.Image(type="pil"), gr.Image(type="pil", format="png"))
    endpoint(radio, [n, delay], speaker)
    endpoint(tokens, [n, delay], out)
    endpoint(chat, [text, n, delay], gr.Chatbot(label="chat"))
    endpoint(typeset, [n, delay, key], out)
    endpoint(slow, [seconds, key], out)
    endpoint(parallel_sleep, [seconds, text], out)
    endpoint(ticker, [n, delay, key], out)
    endpoint(probe, key, result)
    endpoint(selected, text, result)
    endpoint(update_props, text, out)
    endpoint(update_props_only, None, out)
    gr.ChatInterface(converse, api_name="converse")
    gr.Image(label="camera", sources="webcam", streaming=True).stream(
        running_total, [n, state], [state, total], time_limit=20, api_name="running_total"
    )

    @gr.render(inputs=n, triggers=[gr.Button("render").click])
    def boxes(count: float) -> None:
        """Create text boxes, each with two functions that exist in this session only."""
        for i in range(int(count)):
            box = gr.Textbox(label=f"box {i}")
            say = gr.Button("say")
            say.click(lambda said, i=i: f"{i}: {said}", box, out, api_name=f"say_{i}")
            gr.Button("bump").click(
                lambda count: (count + 1, count + 1), state, [state, total], api_name=f"bump_{i}"
            )


demo.queue(default_concurrency_limit=40).launch(show_error=True)
