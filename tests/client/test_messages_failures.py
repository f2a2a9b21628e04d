"""How a call fails: what the app raised, before or midway, and what the server refused."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.sessions import (
    QUEUED,
    SENT,
    add_sleeper,
    follow,
    hashes,
    opened,
    states,
    story,
)
from triojob import (
    AppError,
    JobCancelled,
    JobGroup,
    QueueFull,
    Status,
    StatusUpdate,
    ValidationError,
)
from triojob.testing.components import number


async def test_app_error_has_words_and_presentation(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        await event.log("trying")
        raise GradioError("boom", title="Dear me", duration=2.5, visible=False)

    async with opened(memory_app) as client:
        job = client.submit(api_name="/fail")
        assert await story(job) == [*QUEUED, ("log", "trying"), "FINISHED"]
        assert job.status().success is False
        with pytest.raises(AppError) as caught:
            await job.result()
        error = caught.value
        assert str(error) == error.message == "boom"
        assert (error.title, error.duration, error.visible) == ("Dear me", 2.5, False)
        assert error.endpoint == "/fail"
        assert not job.cancelled
        assert job.outputs() == []


async def test_error_midway_leaves_outputs_before_it(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def fail(event: Event) -> None:
        await event.generating(["a"])
        await event.generating(["ab"])
        raise GradioError("boom", title="Midway", duration=None)

    async with opened(memory_app) as client:
        job = client.submit(api_name="/fail")
        outputs = [("output", "a"), ("output", "ab")]
        assert await story(job) == [*QUEUED, "ITERATING", *outputs, "FINISHED"]
        assert job.outputs() == ["a", "ab"]
        seen, error = await follow(job)
        assert seen == ["a", "ab"]
        assert isinstance(error, AppError)
        assert str(error) == "boom"
        assert (error.title, error.duration, error.visible) == ("Midway", None, True)


async def test_completion_reports_error_of_one_step(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def fail(event: Event) -> None:
        await event.generating(["a"])
        step = {"msg": "process_generating", "output": {"error": "step"}, "success": False}
        await event.send(step)
        await trio.sleep(1)
        await event.fail({"error": "whole", "visible": True})

    async with opened(memory_app) as client:
        job = client.submit(api_name="/fail")
        with pytest.raises(AppError, match="whole"):
            await job.result()
        assert job.outputs() == ["a"]


@pytest.mark.parametrize("midway", [False, True])
async def test_hidden_error_says_how_to_see_it(autojump_clock, memory_app, midway):
    memory_app.app.show_error = False

    @memory_app.app.endpoint(generator=True)
    async def fail(event: Event) -> None:
        if midway:
            await event.generating(["a"])
        await event.fail({"error": None})

    async with opened(memory_app) as client:
        with pytest.raises(AppError, match=r"show_error=True") as caught:
            await client.predict(api_name="/fail")
        assert caught.value.message is None
        assert "/fail" in str(caught.value)


async def test_other_exceptions_have_only_their_words(autojump_clock, memory_app):
    @memory_app.app.endpoint()
    async def fail(event: Event) -> None:
        await event.fail({"error": "division by zero", "visible": True})

    async with opened(memory_app) as client:
        with pytest.raises(AppError, match=r"^division by zero$") as caught:
            await client.predict(api_name="/fail")
        assert caught.value.duration is None
        assert caught.value.visible is True


async def test_failure_is_no_word_on_next_call(autojump_clock, memory_app):
    @memory_app.app.endpoint(inputs=["word"])
    async def perform(event: Event) -> None:
        if event.data[0] == "bad":
            raise GradioError("boom")
        await event.completed([event.data[0]])

    async with opened(memory_app) as client, JobGroup() as group:
        jobs = [group.submit(client.endpoint("/perform"), word) for word in ("a", "bad", "b")]
        assert await jobs[0].result() == "a"
        with pytest.raises(AppError, match="boom"):
            await jobs[1].result()
        assert await jobs[2].result() == "b"


# --- Refused before it ran ---


async def test_full_queue_refuses_and_recovers(autojump_clock, memory_app):
    memory_app.app.max_queue_size = 1
    add_sleeper(memory_app, concurrency_limit=1)
    async with opened(memory_app) as client:
        jobs = []
        for _ in range(3):
            jobs.append(client.submit(5, api_name="/sleep"))
            await wait_all_tasks_blocked()
        with pytest.raises(QueueFull, match=r"/sleep.*size is 1; pass retry=Retry\(\), or call"):
            await jobs[2].result()
        assert await story(jobs[2]) == [*SENT, "QUEUE_FULL", "FINISHED"]
        assert jobs[2].status() == StatusUpdate(Status.FINISHED, success=False)
        assert [await job.result() for job in jobs[:2]] == [5, 5]
        assert await client.predict(1, api_name="/sleep") == 1


def at_most_ten(text: str, n: float) -> list[tuple[bool, str] | None]:
    """Be a validator in which each argument has a say, as `gr.validate` makes it."""
    if n == 13:
        raise ValueError("thirteen is no number")
    return [None if text else (False, "say something"), (n <= 10, "10 at most")]


async def test_a_validator_refuses_by_parameter(autojump_clock, memory_app):
    memory_app.app.add("check", inputs=["text", number("n")], validator=at_most_ten)
    async with opened(memory_app) as client:
        job = client.submit("", 11, api_name="/check")
        assert await story(job) == [*SENT, "FINISHED"]
        with pytest.raises(ValidationError, match=r"text: say something; n: 10 at most") as caught:
            await job.result()
        assert caught.value.errors == {"text": "say something", "n": "10 at most"}
        assert caught.value.endpoint == "/check"
        with pytest.raises(ValidationError) as caught:
            await client.predict("x", 11, api_name="/check")
        assert caught.value.errors == {"n": "10 at most"}
        assert await client.predict("x", 10, api_name="/check") == "x"
    assert memory_app.streams.made == 1


async def test_validator_that_raises_refuses_with_its_words(autojump_clock, memory_app):
    memory_app.app.add("check", inputs=["text", number("n")], validator=at_most_ten)
    async with opened(memory_app) as client:
        with pytest.raises(ValidationError, match="thirteen is no number") as caught:
            await client.predict("x", 13, api_name="/check")
        assert caught.value.endpoint == "/check"


# --- Cancelled on the server ---


async def cancel_from_outside(server: ScriptedServer) -> None:
    """Cancel what runs, as a button of the app's page does."""
    async with server.client() as http:
        for event in server.running:
            body = {
                "session_hash": event.session_hash,
                "fn_index": event.endpoint.fn_index,
                "event_id": event.event_id,
            }
            response = await http.post("/cancel", json=body)
            assert response.status_code == 200


async def test_call_that_server_cancelled_is_cancelled(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, JobGroup(fail_fast=True) as group:
        job = group.submit(client.endpoint("/sleep"), 10**6)
        await wait_all_tasks_blocked()
        await cancel_from_outside(memory_app)
        # An empty output with success: no result, and no failure of the group either.
        assert await story(job) == [*QUEUED, "CANCELLED"]
        with pytest.raises(JobCancelled, match="/sleep was cancelled on the server") as caught:
            await job.result()
        assert caught.value.reason is None
        assert job.cancelled
        assert job.outputs() == []
        assert job.status() == StatusUpdate(Status.CANCELLED, success=False)
        assert await client.predict(1, api_name="/sleep") == 1
    # There is nothing to tell the server.
    assert len(memory_app.cancels) == 1


async def test_generator_that_server_cancelled_keeps_its_outputs(autojump_clock, memory_app):
    @memory_app.app.endpoint(generator=True)
    async def perform(event: Event) -> None:
        await event.generating(["a"])
        await trio.sleep_forever()

    async with opened(memory_app) as client:
        job = client.submit(api_name="/perform")
        await wait_all_tasks_blocked()
        await cancel_from_outside(memory_app)
        seen, error = await follow(job)
        assert seen == job.outputs() == ["a"]
        assert isinstance(error, JobCancelled)


async def test_plain_call_that_server_cancelled_raises(autojump_clock, memory_app):
    add_sleeper(memory_app)
    async with opened(memory_app) as client, trio.open_nursery() as nursery:

        async def cancel() -> None:
            await wait_all_tasks_blocked()
            await cancel_from_outside(memory_app)

        nursery.start_soon(cancel)
        with pytest.raises(JobCancelled, match="on the server"):
            await client.predict(10**6, api_name="/sleep")
    assert states(memory_app, "sleep") == ["cancelled"]
    assert len(hashes(memory_app)) == 1
