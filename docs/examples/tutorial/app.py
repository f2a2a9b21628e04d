import time
from collections.abc import Iterator

import gradio as gr


def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello {name}!"


def add(a: int, b: int) -> tuple[int, int]:
    """Return the sum and the product."""
    return a + b, a * b


def read_page(number: int) -> str:
    """Take a tenth of a second."""
    time.sleep(0.1)
    return f"page {number}"


def tell(words: int) -> Iterator[str]:
    """Write a text word by word."""
    text = "once"
    for n in range(1, words + 1):
        yield text
        time.sleep(0.05)
        text += f" upon-{n}"


def chat(message: str) -> Iterator[list[dict[str, str]]]:
    """Repeat the message, one more word each time."""
    history = [{"role": "user", "content": message}]
    answer = ""
    for word in message.split():
        answer += f"{word} "
        yield [*history, {"role": "assistant", "content": answer}]
        time.sleep(0.05)


def count(total: int) -> tuple[int, int]:
    """Count the calls of one session."""
    return total + 1, total + 1


def work(steps: int, progress: gr.Progress = gr.Progress()) -> str:
    """Report progress and log lines."""
    for step in range(steps):
        progress(step / steps, desc=f"step {step}")
        time.sleep(0.2)
    gr.Warning("mind the gap")
    return "done"


with gr.Blocks() as demo:
    gr.api(greet)
    gr.api(add)
    gr.api(read_page, concurrency_limit=10)
    gr.api(tell, concurrency_limit=10)
    gr.api(chat)
    total, shown = gr.State(0), gr.Number()
    gr.Button("Count").click(count, total, [total, shown])

    gr.Button("Work").click(work, gr.Number(3, precision=0), gr.Textbox())

demo.launch()
