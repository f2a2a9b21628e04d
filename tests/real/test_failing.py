"""Failing in every way that an app can: what its users are told."""

from __future__ import annotations

import concurrent.futures
import pickle

import pytest

from tests.core.support import BaseExceptionGroup
from tests.real.support import new_key, opened, probe, reach
from tests.support.gradio import GradioProcess, StartGradio
from triojob import AppError, JobGroup, QueueFull, Status, TriojobError, ValidationError


@pytest.fixture(scope="module")
def strict_url(start_gradio: StartGradio) -> str:
    """Give the URL of an app that hides its errors and lets only one call wait."""
    server: GradioProcess = start_gradio("--hide-errors", "--queue-size", "1")
    return server.url


async def test_gradio_error_says_all_that_the_app_said(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(AppError, match=r"^boom$") as caught:
            await client.predict(api_name="/fail")
        error = caught.value
        assert (error.message, error.title, error.duration) == ("boom", "Oops", 3)
        assert error.visible is True
        assert error.endpoint == "/fail"
        assert isinstance(error, (TriojobError, RuntimeError))
        again = pickle.loads(pickle.dumps(error))
        assert vars(again) == vars(error)


async def test_plain_exception_is_shown(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(AppError, match=r"^kaput$") as caught:
            await client.predict(api_name="/fail_hard")
        assert caught.value.endpoint == "/fail_hard"


async def test_plain_exception_is_hidden_where_the_app_hides_it(strict_url: str) -> None:
    async with opened(strict_url) as client:
        with pytest.raises(AppError, match="show_error=True") as caught:
            await client.predict(api_name="/fail_hard")
        assert caught.value.message is None
        job = client.submit(api_name="/fail_hard_midway")
        with pytest.raises(AppError, match="show_error=True"):
            await job.result()
        assert job.outputs() == ["one"]
        # What is meant for users is shown all the same.
        with pytest.raises(AppError, match=r"^boom$"):
            await client.predict(api_name="/fail")


async def test_failing_midway_keeps_the_outputs(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(api_name="/fail_midway")
        seen: list[str] = []
        with pytest.raises(AppError, match=r"^midway$") as caught:
            async for output in job:
                seen.append(output)
        assert seen == job.outputs() == ["one", "two"]
        assert (caught.value.title, caught.value.duration) == ("Half", 4)
        assert job.status().code is Status.FINISHED
        assert job.status().success is False
        assert job.exception() is caught.value
        assert not job.cancelled

        hard = client.submit(api_name="/fail_hard_midway")
        await hard.wait()
        assert hard.outputs() == ["one"]
        assert str(hard.exception()) == "kaput midway"


async def test_failure_that_nobody_saw_is_raised_at_the_end(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with JobGroup() as group:
                group.submit(client.endpoint("/fail"))
                good = group.submit(client.endpoint("/greet"), "Ada")
        assert caught.group_contains(AppError, match="boom")
        assert await good.result() == "Hello Ada!"


async def test_failure_in_the_clients_own_group_is_raised_at_its_end(gradio_url: str) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with opened(gradio_url) as client:
            client.submit(api_name="/fail")
    assert caught.group_contains(AppError, match="boom")


async def test_first_failure_stops_the_siblings_on_the_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("fail-fast")
        with pytest.raises(BaseExceptionGroup) as caught:
            async with JobGroup(fail_fast=True) as group:
                slow = group.submit(client.endpoint("/slow"), 60, key)
                await reach(slow, Status.PROCESSING)
                group.submit(client.endpoint("/fail"))
        assert caught.group_contains(AppError, match="boom")
        assert slow.cancelled
        while "cancelled" not in await probe(client, key):
            pass


async def test_session_goes_on_after_a_failure(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        beside = session.submit(0.3, "beside", api_name="/parallel_sleep")
        for _ in range(5):
            with pytest.raises(AppError, match="boom"):
                await session.predict(api_name="/fail")
        assert await session.predict("Ada", api_name="/greet") == "Hello Ada!"
        assert await beside.result() == "beside"


@pytest.mark.parametrize(
    "name, age, errors",
    [
        ("", 30, {"name": "A name is needed."}),
        ("Ada", 200, {"age": "Nobody is of that age."}),
        ("", -1, {"name": "A name is needed.", "age": "Nobody is of that age."}),
    ],
)
async def test_validator_tells_of_each_parameter(gradio_url, name, age, errors):
    async with opened(gradio_url) as client:
        job = client.submit(name, age, api_name="/validated")
        with pytest.raises(ValidationError) as caught:
            await job.result()
        assert caught.value.errors == errors
        assert caught.value.endpoint == "/validated"
        assert isinstance(caught.value, ValueError)
        for words in errors.values():
            assert words in str(caught.value)
        assert job.status().success is False
        assert await client.predict("Ada", 30, api_name="/validated") == "Ada is 30"


async def test_full_queue(strict_url: str) -> None:
    async with opened(strict_url) as client:
        keys = [new_key("full") for _ in range(3)]
        running = client.submit(60, keys[0], api_name="/sleeper")
        await reach(running, Status.PROCESSING)
        waiting = client.submit(0.01, keys[1], api_name="/sleeper")
        assert (await reach(waiting, Status.IN_QUEUE)).rank == 0
        for refused in (
            client.submit(0.01, keys[2], api_name="/sleeper"),
            client.submit("Ada", api_name="/greet"),
        ):
            with pytest.raises(QueueFull, match="Queue is full"):
                await refused.result()
            assert refused.status().success is False
        running.cancel()
        assert await waiting.result() == "slept 0.01"
        # Nothing is left behind: there is room again, and the refused one never ran.
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
        assert await probe(client, keys[2]) == {}


async def test_failures_are_what_a_future_would_give(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(60, new_key("future"), api_name="/slow")
        await reach(job, Status.PROCESSING)
        with pytest.raises(concurrent.futures.InvalidStateError):
            job.exception()
        with pytest.raises(TimeoutError):
            await job.result(timeout=0.05)
        assert not job.done
        job.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            await job.result()
