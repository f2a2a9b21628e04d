"""What the calls of the model do: each follows a plan of its own, and what it did is noted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import trio

from tests.servers.scripted import Event, GradioError
from triojob import report
from triojob.testing._server.description import App
from triojob.testing.components import state

GENERATORS = ("/stream", "/narrow", "/kept")
ENDPOINTS = ("/plain", "/plain_narrow", "/remember", *GENERATORS)
WITH_STATE = ("/remember", "/kept")
LOCAL = ("local", "local generator")


class Boom(Exception):
    """What a function of this side raises."""


@dataclass(frozen=True)
class Plan:
    """What a function does, step by step."""

    steps: tuple[Any, ...] = ()
    """``"yield"``, ``"log"``, ``"progress"``, or a number of seconds to sleep."""
    end: str = "return"
    """``"return"``, ``"return another"``, ``"fail"`` or ``"hang"``."""


@dataclass
class Sent:
    """What a function has said so far."""

    outputs: int = 0
    end: tuple[str, Any] | None = None
    """``("value", ...)`` or ``("error", ...)``."""
    runs: int = 0
    """How often it was started; more than once would be a call that was sent twice."""


class Ledger(dict[str, Sent]):
    """What each call has said, by its token."""

    def __missing__(self, token: str) -> Sent:
        self[token] = sent = Sent()
        return sent


def value_of(token: str, index: int) -> Any:
    """Return an output: none is like another, and each can be made of the one before by edits."""
    return {
        "token": token,
        "n": index,
        "text": " ".join(map(str, range(index + 1))),
        "items": [{"at": number} for number in range(index % 4)],
    }


def encode(token: str, plan: Plan) -> str:
    """Return what a call passes as its one argument."""
    return json.dumps([token, plan.steps, plan.end])


def final_value(token: str, plan: Plan, sent: Sent, *, generator: bool) -> Any:
    """Return what a call returns that comes to its end."""
    if plan.end == "return another" or not generator:
        return {"token": token, "end": plan.end}
    return value_of(token, sent.outputs - 1) if sent.outputs else None


def make_app(ledger: Ledger) -> App:
    """Make an app whose functions follow plans, and note in ``ledger`` what they send."""

    async def follow(event: Event) -> None:
        token, steps, end = json.loads(event.data[-1])
        sent, generator = ledger[token], event.endpoint.generator
        plan = Plan(tuple(steps), end)
        places = len(event.endpoint.outputs)
        sent.runs += 1
        for step in steps:
            if step == "yield":
                if generator:
                    sent.outputs += 1
                    await event.generating([value_of(token, sent.outputs - 1)] * places)
            elif step == "log":
                await event.log(token)
            elif step == "progress":
                await event.progress([0.5])
            else:
                await trio.sleep(step)
        if end == "hang":
            await trio.sleep_forever()
        if end == "fail":
            sent.end = ("error", token)
            raise GradioError(token)
        value = final_value(token, plan, sent, generator=generator)
        sent.end = ("value", value)
        await event.completed([value] * places)

    app = App()
    kept = state("")
    app.add("plain", follow, inputs=["plan"])
    app.add("plain_narrow", follow, inputs=["plan"], concurrency_limit=1)
    app.add("remember", follow, inputs=[kept, "plan"], outputs=[kept, "out"])
    app.add("stream", follow, inputs=["plan"], generator=True)
    app.add("narrow", follow, inputs=["plan"], generator=True, concurrency_limit=1)
    app.add("kept", follow, inputs=[kept, "plan"], outputs=[kept, "out"], generator=True)
    return app


async def run_here(ledger: Ledger, token: str, plan: Plan) -> Any:
    """Follow a plan as a function of this side."""
    sent = ledger[token]
    sent.runs += 1
    for step in plan.steps:
        if step == "log":
            report.log(token)
        elif step == "progress":
            report.progress(0.5)
        elif step != "yield":
            await trio.sleep(step)
    await _end(sent, token, plan)
    value = final_value(token, plan, sent, generator=False)
    sent.end = ("value", value)
    return value


async def generate_here(ledger: Ledger, token: str, plan: Plan) -> AsyncIterator[Any]:
    """Follow a plan as a generator of this side; its last yield is its result."""
    sent = ledger[token]
    sent.runs += 1
    for step in plan.steps:
        if step == "yield":
            sent.outputs += 1
            yield value_of(token, sent.outputs - 1)
        elif step == "log":
            report.log(token)
        elif step == "progress":
            report.progress(0.5)
        else:
            await trio.sleep(step)
    await _end(sent, token, plan)
    sent.end = ("value", value_of(token, sent.outputs - 1) if sent.outputs else None)


async def _end(sent: Sent, token: str, plan: Plan) -> None:
    if plan.end == "hang":
        await trio.sleep_forever()
    if plan.end == "fail":
        sent.end = ("error", token)
        raise Boom(token)
