"""A scripted app against a real one: the same code of a user sees the same in both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.hanging import SECONDS
from tests.testing.twin import make_twin
from triojob import (
    AppError,
    AuthenticationError,
    Client,
    JobCancelled,
    JobGroup,
    LogMessage,
    QueueFull,
    Status,
    StatusUpdate,
    ValidationError,
    handle_file,
)
from triojob.testing import ScriptedApp, StartGradio

REAL = Path(__file__).with_name("real_twin.py")
pytestmark = pytest.mark.real

Script = Callable[[Client], Awaitable[Any]]


def seen_in_real(url: str, script: Script, **options: Any) -> Any:
    async def main() -> Any:
        with trio.fail_after(SECONDS):
            async with Client(url, **options) as client:
                return await script(client)

    return trio.run(main)


def seen_in_twin(app: ScriptedApp, script: Script, **options: Any) -> Any:
    async def main() -> Any:
        async with app.client(**options) as client:
            seen = await script(client)
        app.assert_no_jobs_left()
        return seen

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def describe(client: Client) -> Any:
    return client.view_api().partition("\n")[2], client.version, client.protocol


async def call(client: Client) -> Any:
    translate = client.endpoint("/translate")
    return [
        await translate("a"),
        await translate("a", target="de"),
        await client.predict([1, 2.5], api_name="/stats"),
        repr(await client.predict("changed", api_name="/relabel")),
    ]


async def mistakes(client: Client) -> Any:
    seen = []
    for args, kwargs in ((), {}), (("a", "b", "c"), {}), (("a",), {"wrong": 1}):
        with pytest.raises(TypeError) as caught:
            await client.predict(*args, api_name="/translate", **kwargs)
        seen.append(str(caught.value))
    return seen


async def stream(client: Client) -> Any:
    job = client.submit(4, 0.05, api_name="/tokens")
    live = [text async for text in job]
    return live, job.outputs(), await job.result(), job.name


async def stream_of_nothing(client: Client) -> Any:
    job = client.submit(0, api_name="/tokens")
    return await job.result(), job.outputs()


async def progress_and_log(client: Client) -> Any:
    job = client.submit(3, api_name="/steps")
    codes: list[Any] = []
    units: list[Any] = []
    logs: list[Any] = []
    async for update in job.updates():
        if isinstance(update, StatusUpdate):
            codes.append((update.code, update.success))
            units.append(update.progress_data)
        elif isinstance(update, LogMessage):
            logs.append((update.text, update.level, update.title, update.duration))
    # Gradio looks at the progress now and then: how often one step is told of is its affair.
    return _changes(codes), _changes(units), logs


def _changes(values: list[Any]) -> list[Any]:
    return [b for a, b in zip([None, *values], values, strict=False) if a != b]


async def errors(client: Client) -> Any:
    seen: list[Any] = []
    for name, value in (
        ("offended", "x"),
        ("plain_error", "x"),
        ("broken", "x"),
        ("broken_midway", 2),
    ):
        job = client.submit(value, api_name=name)
        failure = None
        outputs = []
        try:
            async for output in job:
                outputs.append(output)
        except AppError as error:
            failure = error
        assert failure is not None
        facts = (failure.message, failure.title, failure.duration, failure.visible)
        seen.append((name, str(failure), facts, failure.endpoint, outputs, job.status().code))
    return seen


async def cancel(client: Client) -> Any:
    job = client.submit(100, 0.1, api_name="/tokens")
    await anext(aiter(job))
    job.cancel("enough")
    with pytest.raises(JobCancelled) as caught:
        await job.result()
    with trio.fail_after(SECONDS):
        # Polled: nothing says when the last one was sent.
        while client.statistics().cancel_requests:  # noqa: ASYNC110
            await trio.sleep(0.05)
    # Its place is free again: the app has stopped it.
    after = await client.predict(2, api_name="/tokens")
    return str(caught.value), job.status().code, after


async def cancel_while_queued(client: Client) -> Any:
    first = client.submit(1.5, api_name="/nap")
    second = client.submit(0.1, api_name="/nap")
    async for update in second.updates():
        if isinstance(update, StatusUpdate) and update.code is Status.IN_QUEUE:
            second.cancel()
            break
    await second.wait()
    return await first.result(), second.cancelled, await client.predict(0.1, api_name="/nap")


async def queue(client: Client) -> Any:
    ranks: list[Any] = []
    async with JobGroup() as group:
        nap = client.endpoint("/nap")
        first = group.submit(nap, 1.2)
        async for update in first.updates():
            if isinstance(update, StatusUpdate) and update.code is Status.PROCESSING:
                break
        second = group.submit(nap, 0.3)
        await _in_queue(second)
        third = group.submit(nap, 0.3)
        for job in (first, second, third):
            own = [
                (update.code, update.rank, update.queue_size)
                async for update in job.updates()
                if isinstance(update, StatusUpdate)
            ]
            ranks.append(_changes(own))
    return ranks


async def _in_queue(job: Any) -> None:
    async for update in job.updates():
        if isinstance(update, StatusUpdate) and update.code is Status.IN_QUEUE:
            return


async def keep_state(client: Client) -> Any:
    seen = [await client.predict(api_name="/bump") for _ in range(2)]
    async with client.session() as session:
        seen.append(await session.predict(api_name="/bump"))
    seen.append(await client.predict(api_name="/bump"))
    return seen


async def files(client: Client) -> Any:
    path = await client.predict(handle_file(b"some text", name="small.txt"), api_name="/upper")
    return Path(path).name, await trio.Path(path).read_text(encoding="utf-8")


async def validation(client: Client) -> Any:
    with pytest.raises(ValidationError) as caught:
        await client.predict("", 3, api_name="/adult")
    return str(caught.value), await client.predict("Ada", 36, api_name="/adult")


SCRIPTS: list[Script] = [
    describe,
    call,
    mistakes,
    stream,
    stream_of_nothing,
    progress_and_log,
    errors,
    cancel,
    cancel_while_queued,
    queue,
    keep_state,
    files,
    validation,
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_the_same_code_sees_the_same(script: Script, gradio_app: StartGradio) -> None:
    real = seen_in_real(gradio_app(REAL).url, script)
    assert seen_in_twin(make_twin(), script) == real


STRICT = {"auth": ("ada", "l0velace"), "max_queue_size": 1, "show_error": True}


def test_full_queue_and_shown_errors_look_same(gradio_app: StartGradio) -> None:
    async def fill(client: Client) -> Any:
        async with JobGroup() as group:
            nap = client.endpoint("/nap")
            jobs = [group.submit(nap, 0.5)]
            async for update in jobs[0].updates():
                if isinstance(update, StatusUpdate) and update.code is Status.PROCESSING:
                    break
            jobs.append(group.submit(nap, 0.1))
            await _in_queue(jobs[1])
            jobs.append(group.submit(nap, 0.1))
            with pytest.raises(QueueFull) as full:
                await jobs[2].result()
        results = [await job.result() for job in jobs[:2]]
        with pytest.raises(AppError) as caught:
            await client.predict("shown", api_name="/broken")
        return str(full.value), results, str(caught.value), caught.value.title

    url, login = gradio_app(REAL, env={"TWIN_STRICT": "1"}).url, STRICT["auth"]
    real = seen_in_real(url, fill, auth=login)
    assert seen_in_twin(make_twin(**STRICT), fill, auth=login) == real


@pytest.mark.parametrize("login", [None, ("ada", "wrong")])
def test_a_refused_login_looks_the_same(gradio_app: StartGradio, login: Any) -> None:
    url = gradio_app(REAL, env={"TWIN_STRICT": "1"}).url
    with pytest.raises(AuthenticationError) as real:
        seen_in_real(url, call, auth=login)
    with pytest.raises(AuthenticationError) as ours:
        seen_in_twin(make_twin(**STRICT), call, auth=login)
    assert str(ours.value).replace("http://scripted.test", url) == str(real.value)
