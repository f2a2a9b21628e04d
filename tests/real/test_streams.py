"""Generators: every output, in order, and the right result at the end."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.real.support import new_key, opened, promptly
from triojob import Client, Job, JobGroup, OutputUpdate, PropertyUpdate


async def collect(job: Job[Any]) -> list[Any]:
    return [output async for output in job]


async def outputs_of(client: Client, api_name: str, *args: Any) -> list[Any]:
    """Call an endpoint; return its outputs, which each way of asking must agree on."""
    job = client.submit(*args, api_name=api_name)
    live = await collect(job)
    assert job.outputs() == live
    assert await collect(job) == live
    updates = [u.output async for u in job.updates() if isinstance(u, OutputUpdate)]
    assert updates == live
    if live:
        assert await job.result() == live[-1]
    return live


def table(i: int) -> list[list[str]]:
    rows, columns = (1 + i % 4, 1 + (i * 2) % 3)
    return [[f"r{row}c{column}" for column in range(columns)] for row in range(rows)]


async def test_text_that_changes(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await outputs_of(client, "/count", 5, 0.01) == list("01234")


async def test_text_that_grows(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        words = [f"tok{i}" for i in range(300)]
        expected = [" ".join(words[: i + 1]) for i in range(300)]
        assert await outputs_of(client, "/tokens", 300, 0) == expected


async def test_tables_that_grow_and_shrink(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        live = await outputs_of(client, "/lists", 2)
        assert [output["data"] for output in live] == [table(i) for i in range(2)]
        # Gradio miscounts when a table shrinks one way as it grows the other: what is between may
        # be wrong or missing, the result never is.
        live = await outputs_of(client, "/lists", 20)
        assert live[0]["data"] == table(0)
        assert live[-1]["data"] == table(19)


async def test_edits_that_gradio_gets_wrong_leave_the_result_right(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(api_name="/corrupting_lists")
        assert (await job.result())["data"] == [["a"], ["d"]]
        outputs = job.outputs()
        assert outputs[0]["data"] == [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]
        assert outputs[-1]["data"] == [["a"], ["d"]]
        assert await collect(job) == outputs


async def test_objects_in_a_list(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        live = await outputs_of(client, "/spans", 4)
        assert len(live) == 8
        tokens = [[span["token"] for span in output] for output in live]
        assert tokens[0] == ["w0"]
        assert tokens[1] == ["w0 full"]
        assert tokens[6] == ["w0 full", "w1 full", "w2 full", "w3"]
        assert [span["class_or_confidence"] for span in live[7]] == ["even", "odd"] * 2


async def test_chat_messages(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        live = await outputs_of(client, "/chat", "hi", 5, 0.01)
        assert len(live) == 5
        for i, messages in enumerate(live):
            user, assistant = messages
            assert (user["role"], assistant["role"]) == ("user", "assistant")
            assert user["content"][0]["text"] == "hi"
            said = assistant["content"][0]["text"]
            assert said.split() == [f"tok{n}" for n in range(i + 1)]


async def test_output_that_stays_as_it_was(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        live = await outputs_of(client, "/two_streams", 7)
        assert live == [(f"fast {i}", f"slow {i // 3}") for i in range(7)]


async def test_generator_that_yields_nothing(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(api_name="/nothing")
        assert await collect(job) == []
        assert await job.result() is None
        assert job.outputs() == []


async def test_values_and_property_updates_in_turn(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        live = await outputs_of(client, "/alternating", 4)
        assert live == ["plain 0", "update 1", "plain 2", "update 3"]


async def test_property_updates_without_a_value(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict("x", api_name="/update_props") == "X"
        output = await client.predict(api_name="/update_props_only")
        assert isinstance(output, PropertyUpdate)
        assert output == {"label": "changed"}


async def test_outputs_arrive_while_the_generator_runs(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("live")
        job = client.submit(1000, 0.05, key, api_name="/ticker_async")
        async for output in job:
            assert not job.done
            if output == "2":
                break
        job.cancel()


async def test_many_readers_early_late_and_slow(gradio_url: str) -> None:
    expected = [str(i) for i in range(20)]
    async with opened(gradio_url) as client:
        job = client.submit(20, 0.02, api_name="/parallel_count")
        seen: dict[str, list[str]] = {}

        async def read(name: str, *, after: int = 0, pause: float = 0) -> None:
            if after:
                async for output in job:
                    if int(output) >= after:
                        break
            seen[name] = []
            async for output in job:
                seen[name].append(output)
                await trio.sleep(pause)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, "early")
            nursery.start_soon(read, "early too")
            nursery.start_soon(lambda: read("late", after=10))
            nursery.start_soon(lambda: read("slow", pause=0.04))
        assert seen == dict.fromkeys(["early", "early too", "late", "slow"], expected)


async def test_slow_reader_delays_no_other_job(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        slow = session.submit(50, 0, api_name="/parallel_count")
        other = session.submit(50, 0, api_name="/parallel_count")
        async for _ in slow:
            break  # and never come back
        assert await other.result() == "49"
        assert len(await collect(slow)) == 50


async def test_several_generators_of_one_function_at_once(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        for endpoint in (client.endpoint("/parallel_count"), session.endpoint("/parallel_count")):
            async with JobGroup() as group:
                jobs = [group.submit(endpoint, n, 0.01) for n in range(1, 30)]
            for n, job in enumerate(jobs, 1):
                assert job.outputs() == [str(i) for i in range(n)]


async def test_history_keeps_the_last_outputs(gradio_url: str) -> None:
    async with opened(gradio_url, history=3) as client:
        job = client.submit(100, 0, api_name="/tokens")
        text = await job.result()
        assert len(text.split()) == 100
        outputs = job.outputs()
        assert [len(output.split()) for output in outputs] == [98, 99, 100]
        assert job.dropped == 97


async def test_listeners_hear_of_each_output(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        heard: list[str] = []
        ended: list[Job[Any]] = []
        job = client.submit(10, 0.01, api_name="/tokens")
        job.on_output(heard.append)
        job.on_result(ended.append)
        await job.wait()
        assert heard == job.outputs()
        assert ended == [job]


async def test_leaving_a_loop_leaves_the_job(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(20, 0.02, api_name="/parallel_count")
        async for _ in job:
            break
        assert not job.done
        assert await job.result() == "19"


async def test_waiting_for_the_next_output_can_time_out(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(3, 0.4, api_name="/parallel_count")
        outputs = job.__aiter__()
        seen: list[str] = []
        with pytest.raises(StopAsyncIteration):
            while True:
                with trio.move_on_after(0.05):
                    seen.append(await outputs.__anext__())
        assert seen == ["0", "1", "2"]
        async with promptly():
            assert await job.result() == "2"
