"""The scripted twin of the app in `real_twin.py`, as a user would write it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import trio

from triojob import AppError, PropertyUpdate, report
from triojob.testing import ScriptedApp
from triojob.testing.components import number, state, textbox


def make_twin(**options: Any) -> ScriptedApp:
    app = ScriptedApp(title="twin", **options)

    @app.endpoint("/translate")
    def translate(text: str, target: str = "fr") -> str:
        """Translate a text.

        Whatever the language.

        Args:
            text: What to translate.
        """
        return f"{text} in {target}"

    @app.endpoint("/stats")
    def stats(numbers: list[float]) -> tuple[float, str]:
        return sum(numbers), f"{len(numbers)} numbers"

    @app.endpoint("/tokens")
    async def tokens(n: int, delay: float = 0.0) -> AsyncIterator[str]:
        text = ""
        for i in range(n):
            await trio.sleep(delay)
            text += f" tok{i}" if text else f"tok{i}"
            yield text

    @app.endpoint("/steps")
    async def steps(n: int) -> str:
        for i in range(n):
            report.progress((i, n), desc=f"step {i}")
            await trio.sleep(0.2)
        report.log("done")
        return "stepped"

    @app.endpoint("/nap")
    async def nap(seconds: float) -> float:
        await trio.sleep(seconds)
        return seconds

    @app.endpoint("/offended")
    def offended(text: str) -> str:
        raise AppError(f"not {text}", title="Oops", duration=3, visible=False)

    @app.endpoint("/plain_error")
    def plain_error(text: str) -> str:
        raise AppError("plain")

    @app.endpoint("/broken")
    def broken(text: str) -> str:
        raise KeyError(text)

    @app.endpoint("/broken_midway")
    async def broken_midway(n: int) -> AsyncIterator[str]:
        for i in range(n):
            yield str(i)
        raise AppError("midway")

    count = state(0)

    @app.endpoint("/bump", parameters={"count": count}, returns=[count, number("count")])
    def bump(count: int) -> tuple[int, int]:
        return count + 1, count + 1

    @app.endpoint("/relabel", returns=[textbox("output")])
    def relabel(text: str) -> PropertyUpdate:
        return PropertyUpdate({"label": text})

    @app.endpoint("/upper")
    def upper(path: Path) -> Path:
        result = path.with_name("upper.txt")
        result.write_text(path.read_text(encoding="utf-8").upper(), encoding="utf-8")
        return result

    def check_adult(name: str, age: float) -> list[tuple[bool, str]]:
        return [(bool(name), "A name is needed."), (age >= 18, "Too young.")]

    @app.endpoint("/adult", validator=check_adult)
    def adult(name: str, age: float) -> str:
        return f"{name} is {age}"

    return app
