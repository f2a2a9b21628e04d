"""Many who read one job, early and late, fast and slow: each hears all, and delays nobody."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.servers.scripted import Event, GradioError, ScriptedServer, frame
from tests.support.sessions import (
    QUEUED,
    follow,
    opened,
    states,
    story,
)
from triojob import AppError, Job, JobCancelled, JobTimeout, Limits
from triojob.testing.components import number

WORDS = ["a", "ab", "abc", "b", "bc"]


def add_speller(server: ScriptedServer) -> None:
    """Add a generator that yields WORDS, one each second, and then fails if it is told to."""

    @server.app.endpoint(inputs=["end"], generator=True)
    async def spell(event: Event) -> None:
        for word in WORDS:
            await event.generating([word])
            await event.log(f"said {word}")
            await trio.sleep(1)
        if event.data[0] == "badly":
            raise GradioError("boom")
        if event.data[0] == "never":
            await trio.sleep_forever()


async def collect_after(delay: float, job: Job[Any], into: list[Any]) -> None:
    await trio.sleep(delay)
    into.append(await follow(job))


async def watch_after(delay: float, job: Job[Any], into: list[Any]) -> None:
    await trio.sleep(delay)
    into.append(await story(job))


async def wait_after(delay: float, job: Job[Any], into: list[Any]) -> None:
    await trio.sleep(delay)
    await job.wait()
    try:
        into.append(await job.result())
    except (AppError, JobCancelled) as error:
        into.append(error)


@pytest.mark.parametrize("end", ["well", "badly", "never"])
async def test_all_readers_hear_all_whenever_they_come(autojump_clock, memory_app, end):
    add_speller(memory_app)
    heard: list[Any] = []
    told: list[Any] = []
    ended: list[Any] = []
    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        job = client.submit(end, api_name="/spell")
        for delay in (0, 0.5, 1, 2.5, 4.5, 20, 100):
            for _ in range(3):
                nursery.start_soon(collect_after, delay, job, heard)
                nursery.start_soon(watch_after, delay, job, told)
                nursery.start_soon(wait_after, delay, job, ended)
        if end == "never":
            await trio.sleep(10)
            job.cancel()
    assert len(heard) == len(told) == len(ended) == 21
    assert [outputs for outputs, _ in heard] == [WORDS] * 21
    assert told == [told[0]] * 21
    assert [item for item in told[0] if item[0] == "output"] == [("output", w) for w in WORDS]
    kinds = {"well": type(None), "badly": AppError, "never": JobCancelled}
    assert {type(error) for _, error in heard} == {kinds[end]}
    if end == "well":
        assert ended == [WORDS[-1]] * 21
    else:
        assert {type(error) for error in ended} == {kinds[end]}


async def test_who_gives_up_waiting_disturbs_nobody(autojump_clock, memory_app):
    add_speller(memory_app)
    heard: list[Any] = []
    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        job = client.submit("well", api_name="/spell")
        nursery.start_soon(collect_after, 0, job, heard)
        with trio.move_on_after(2.5):
            async for _ in job:
                pass
        with pytest.raises(JobTimeout):
            await job.result(timeout=1)
        async for output in job:
            if output == "ab":
                break
        assert await job.result() == "bc"
    assert heard == [(WORDS, None)]
    assert memory_app.cancels == []


async def test_listeners_hear_only_their_own_job(autojump_clock, memory_app):
    @memory_app.app.endpoint(inputs=[number("n")], outputs=[number("i")], generator=True)
    async def count(event: Event) -> None:
        for i in range(5):
            await event.generating([event.data[0] * 10 + i])
            await trio.sleep(1)

    heard: dict[int, list[int]] = {n: [] for n in range(5)}
    async with opened(memory_app) as client, client.session() as session:
        for n in range(5):
            session.submit(n, api_name="/count").on_output(heard[n].append)
    assert heard == {n: [n * 10 + i for i in range(5)] for n in range(5)}
    assert memory_app.streams.made <= 2


# --- Slow readers ---


async def test_slow_reader_delays_no_other_job(autojump_clock, memory_app):
    add_speller(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        slow, fast = [session.submit("well", api_name="/spell") for _ in range(2)]
        first = await slow.__aiter__().__anext__()
        # The slow reader does nothing for the first output, and never asks for the second.
        assert [output async for output in fast] == WORDS
        assert await fast.result() == "bc"
        assert first == "a"
        await slow.wait()
        assert slow.outputs() == WORDS


@pytest.mark.parametrize("reading", [True, False])
async def test_a_burst_of_messages_is_taken_whole(autojump_clock, memory_app, reading):
    @memory_app.app.endpoint()
    async def burst(event: Event) -> None:
        lines = [{"msg": "log", "event_id": event.event_id, "log": f"{i}"} for i in range(1000)]
        # In one piece: the reader of the stream hands on all of them before the job's turn comes.
        await event.raw(b"".join(map(frame, lines)))
        await event.completed(["done"])

    told: list[Any] = []
    async with opened(memory_app) as client, trio.open_nursery() as nursery:
        job = client.submit(api_name="/burst")
        if reading:
            nursery.start_soon(watch_after, 0, job, told)
        await job.wait()
        expected = [*QUEUED, *(("log", f"{i}") for i in range(1000)), ("output", "done")]
        assert await story(job) == [*expected, "FINISHED"]
    assert told == ([[*expected, "FINISHED"]] if reading else [])


async def test_slow_reader_does_not_delay_its_call(autojump_clock, memory_app):
    add_speller(memory_app)
    async with opened(memory_app, limits=Limits(streams=1)) as client:
        job = client.submit("well", api_name="/spell")
        async for _ in job:
            # The other call needs the one place for a stream, which the first one gives back.
            assert await client.predict("well", api_name="/spell") == "bc"
            break
        assert job.done
    assert states(memory_app, "spell") == ["finished"] * 2
