"""What a `ScriptedApp` does to those who call it, on a clock that nobody waits for."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest
import trio
import trio.testing

from triojob import (
    AppError,
    Client,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    JobCancelled,
    JobGroup,
    Limits,
    Retry,
    ServerRestarted,
    ServerStopped,
    Timeouts,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    sync,
)
from triojob.testing import ScriptedApp
from triojob.testing.components import number, slider, state


def make_app(**options: Any) -> ScriptedApp:
    app = ScriptedApp(**options)

    @app.endpoint("/nap")
    async def nap(seconds: float, text: str = "slept") -> str:
        await trio.sleep(seconds)
        return text

    @app.endpoint("/ticks")
    async def ticks(n: int) -> AsyncIterator[str]:
        for i in range(n):
            yield str(i)
            await trio.sleep(1)

    count = state(0)

    @app.endpoint("/bump", parameters={"count": count}, returns=[count, number("count")])
    def bump(count: int) -> tuple[int, int]:
        return count + 1, count + 1

    return app


async def test_plain_functions_and_generators_will_do(autojump_clock):
    app = ScriptedApp()

    @app.endpoint()
    def letters(text: str) -> Iterator[str]:
        yield from text

    @app.endpoint()
    def nothing() -> None:
        pass

    async with app.client() as client:
        job = client.submit("abc", api_name="/letters")
        assert [letter async for letter in job] == ["a", "b", "c"]
        assert await client.predict(api_name="/nothing") == ()
    assert list(letters("ab")) == ["a", "b"]


async def test_annotations_say_what_the_components_are(autojump_clock):
    app = ScriptedApp()

    @app.endpoint(parameters={"size": slider("How large", 1, 9, 5)})
    def all_kinds(
        choice: Literal["a", "b"],
        picks: list[Literal["x", "y"]],
        size: float,
        table: dict[str, int],
        unknown,
        flag: bool = True,
        suffix: str | None = None,
        unseen: NotThere | None = None,  # noqa: F821 - as one that is imported for type checkers
    ) -> tuple[str, bool]:
        """Take all kinds."""
        return choice, flag

    async with app.client() as client:
        assert client.view_api().partition("\n\n")[2] == (
            "/all_kinds(choice, picks, size, table, unknown, flag, suffix, unseen)"
            " -> output 0, output 1\n"
            "  Take all kinds.\n"
            "  - choice (Dropdown): Literal['a', 'b'], required, one of ['a', 'b']\n"
            "  - picks (Checkboxgroup): list[Literal['x', 'y']], required, one of ['x', 'y']\n"
            "  - size (Slider): float, default 5, from 1 up to 9\n"
            "  - table (Json): str | float | bool | list | dict, required\n"
            "  - unknown (Json): str | float | bool | list | dict, required\n"
            "  - flag (Checkbox): bool, default True\n"
            "  - suffix (Textbox): str, default None\n"
            "  - unseen (Json): str | float | bool | list | dict, default None\n"
            "  -> output 0 (Textbox): str\n"
            "  -> output 1 (Checkbox): bool"
        )


def test_impossible_functions_are_refused():
    app = make_app()

    def several(*texts: str) -> str:
        return ""

    with pytest.raises(TypeError, match=r"several takes .*texts.*by position"):
        app.endpoint()(several)
    with pytest.raises(TypeError, match="has no parameter 'wrong'"):
        app.endpoint(parameters={"wrong": number("n")})(lambda n: n)
    with pytest.raises(TypeError, match="has no name"):
        app.endpoint()(functools.partial(str.upper, "text"))
    with pytest.raises(ValueError, match="already has an endpoint /nap"):
        app.endpoint("nap")(lambda n: n)


async def test_wrong_output_count_is_tests_error(autojump_clock):
    app = ScriptedApp()

    @app.endpoint()
    def pair() -> tuple[int, int]:
        return 1, 2, 3  # type: ignore[return-value]

    said = "/pair has 2 outputs, but returned 3 values"
    with pytest.RaisesGroup(pytest.RaisesExc(TypeError, match=said), flatten_subgroups=True):
        async with app.client() as client:
            await client.predict(api_name="/pair")


async def test_what_function_raises_is_kept_and_logged(autojump_clock, caplog):
    app = ScriptedApp()

    @app.endpoint()
    def broken() -> str:
        raise KeyError("a mistake")

    async with app.client() as client:
        job = client.submit(api_name="/broken")
        await job.wait()
        assert "whose message the app hides" in str(job.exception())
    (call,) = app.calls
    assert (call.state, repr(call.exception)) == ("failed", "KeyError('a mistake')")
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("triojob.testing", logging.ERROR)
    ]
    assert "a mistake" in caplog.text


async def test_what_the_body_raises_comes_out_bare(autojump_clock):
    app = make_app()
    with pytest.raises(KeyError):
        async with app:
            raise KeyError
    with pytest.raises(KeyError):
        async with app.client():
            raise KeyError


async def test_run_begins_anew_and_its_records_stay(autojump_clock):
    app = make_app()
    for _ in range(2):
        async with app.client() as client:
            assert await client.predict(api_name="/bump") == 1
            assert await client.predict(api_name="/bump") == 2
        assert [call.session for call in app.calls] == [1, 1]
        app.assert_called("/bump", times=2)


async def test_it_has_to_run_and_runs_once(autojump_clock):
    app = make_app()
    assert repr(app) == "<ScriptedApp (does not run) 0 calls>"
    for ask in (lambda: app.url, app.transport, app.restart, app.refuse):
        with pytest.raises(RuntimeError, match="run the app first"):
            ask()
    async with app:
        with pytest.raises(RuntimeError, match="already running"):
            await app.__aenter__()
        assert repr(app) == "<ScriptedApp http://scripted.test 0 calls>"
        async with app.client() as one, app.client() as two:
            assert await one.predict(0, api_name="/nap") == "slept"
            assert await two.predict(0, "too", api_name="/nap") == "too"


async def test_code_that_makes_its_own_client(autojump_clock):
    async with make_app() as app, Client(app.url, transport=app.transport()) as client:
        assert await client.predict(0, api_name="/nap") == "slept"


async def test_calls_may_be_refused(autojump_clock):
    app = make_app()
    async with app.client(limits=Limits(refused_for=0)) as client:
        app.refuse(429, times=2, retry_after=7)
        app.refuse(502)
        with pytest.raises(TooManyRequests):
            await client.predict(0, api_name="/nap")
        start = trio.current_time()
        nap = client.endpoint("/nap")
        retry = Retry(wait_jitter=0, idempotent=True)
        assert await nap.with_retry(retry)(0) == "slept"
        assert trio.current_time() - start >= 7
        app.refuse(502)
        with pytest.raises(UnexpectedResponse):
            await nap(0)
    app.assert_called("/nap", times=1)


async def test_connections_may_break(autojump_clock):
    app = make_app()
    async with app.client() as client:
        job = client.submit(100, api_name="/ticks")
        assert await anext(aiter(job)) == "0"
        app.drop_connections()
        with pytest.raises(ConnectionLost):
            await job.result()
        await trio.sleep(2)
        # Gradio sees it at the next yield.
        assert [call.state for call in app.calls] == ["abandoned"]
        assert await client.predict(0, api_name="/nap") == "slept"


async def test_app_may_be_killed_and_started_anew(autojump_clock):
    app = make_app()
    async with app.client() as client:
        assert await client.predict(api_name="/bump") == 1
        app.kill()
        with pytest.raises(ConnectionFailed):
            await client.predict(0, api_name="/nap")
        app.restart()
        await trio.sleep(5)
        with pytest.raises(ServerRestarted):
            await client.predict(api_name="/bump")
        assert await client.predict(api_name="/bump") == 1


async def test_an_app_may_be_shut_down(autojump_clock):
    app = make_app()
    async with app.client() as client:
        job = client.submit(60, api_name="/nap")
        await app.wait_running("/nap")
        app.stop()
        await job.wait()
        assert isinstance(job.exception(), ServerStopped)
        with pytest.raises(TriojobError):
            await client.predict(0, api_name="/nap")
        app.restart()
        assert await client.predict(0, api_name="/nap") == "slept"


async def test_error_without_message_is_hidden_one(autojump_clock):
    app = ScriptedApp()

    @app.endpoint()
    def hiding() -> str:
        raise AppError

    async with app.client() as client:
        with pytest.raises(AppError, match="whose message the app hides"):
            await client.predict(api_name="/hiding")


async def test_queued_call_is_gone_with_app(autojump_clock):
    app = make_app()
    async with app.client() as client, JobGroup() as group:
        jobs = [group.submit(client.endpoint("/nap"), 60) for _ in range(2)]
        await app.wait_running("/nap")
        app.restart()
        for job in jobs:
            await job.wait()
            assert isinstance(job.exception(), ConnectionLost)
        app.assert_no_jobs_left()


async def test_a_slow_app_meets_the_timeouts(autojump_clock):
    app = make_app(heartbeat_interval=1000)
    async with app.client(timeouts=Timeouts(max_stream_idle=30)) as client:
        with pytest.raises(ConnectionTimeout, match="30"):
            await client.predict(60, api_name="/nap")


async def test_ranks_and_estimates_are_gradios(autojump_clock):
    app = make_app()
    async with app.client() as client:
        await client.predict(4, api_name="/nap")
        jobs = []
        for _ in range(3):
            jobs.append(client.submit(4, api_name="/nap"))
            await trio.sleep(1)
        queued = [job.status() for job in jobs[1:]]
        assert [(status.rank, status.queue_size) for status in queued] == [(0, 1), (1, 2)]
        # A call takes 4 s; the one that ran then had 3 s and 2 s left.
        assert [round(status.eta) for status in queued] == [7, 10]


@pytest.mark.parametrize("limit, seconds", [(1, 3), (2, 2), (None, 1)])
async def test_the_concurrency_limit_holds(autojump_clock, limit: int | None, seconds: int):
    app = make_app(concurrency_limit=limit)
    async with app.client() as client:
        start = trio.current_time()
        async with JobGroup() as group:
            for _ in range(3):
                group.submit(client.endpoint("/nap"), 1)
        assert round(trio.current_time() - start) == seconds


async def test_a_client_that_leaves_leaves_nothing_behind(autojump_clock):
    app = make_app()
    async with app:
        with trio.CancelScope() as scope:
            async with app.client() as client:
                job = client.submit(100, api_name="/ticks")
                await app.wait_running("/ticks")
                scope.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        app.assert_no_jobs_left()
        app.assert_cancelled("/ticks")


async def test_the_bridge_calls_it_on_a_socket(autojump_clock, monkeypatch: pytest.MonkeyPatch):
    app = make_app()

    def script(url: str) -> list[Any]:
        with sync.Client(url, verbose=False) as client:
            return [client.predict(0, api_name="/nap"), client.predict(api_name="/bump")]

    done: list[Any] = []

    async def main() -> None:
        async with app.serve() as url:
            assert url.startswith("http://127.0.0.1:")
            done.extend(await trio.to_thread.run_sync(script, url))

    # Apart from this test's clock, which sockets know nothing of.
    await trio.to_thread.run_sync(trio.run, main)
    assert done == ["slept", 1]
