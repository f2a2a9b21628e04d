"""Streams of inputs, on endpoints such as a microphone's."""

from __future__ import annotations

import pytest
import trio

from tests.support.real import (
    assert_idle,
    new_key,
    opened,
    probe,
    probe_until,
    promptly,
)
from triojob import AppError, InputStreamClosed, JobCancelled


async def test_inputs_go_in_as_outputs_come_back(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        shout = client.endpoint("/shout")
        key = new_key("shout")
        words = ["one", "two", "two", "three"]
        async with shout.stream_inputs(words[0], key) as stream:
            for word in words[1:]:
                await stream.send(word, key=key)
            await stream.send_eof()
            assert [output async for output in stream] == ["ONE", "TWO", "TWO", "THREE"]
            with pytest.raises(InputStreamClosed):
                await stream.send("four", key)
        assert await stream.job.result() == "THREE"
        assert (await probe(client, key))["inputs"] == 4
        await assert_idle(client)


async def test_each_output_asks_for_the_next_input(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        for each in (client, session):
            seen: list[float] = []
            async with each.endpoint("/running_total").stream_inputs(1) as stream:
                async for total in stream:
                    seen.append(total)
                    if len(seen) == 5:
                        await stream.send_eof()
                    else:
                        await stream.send(total)
            assert seen == [1, 2, 4, 8, 16]
            assert await each.predict(api_name="/bump") == 17


async def test_plain_call_is_stream_of_one_input(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        async with promptly():
            assert await client.predict("hi", new_key("x"), api_name="/shout") == "HI"
        job = client.submit("ho", new_key("x"), api_name="/shout")
        assert await job.result() == "HO"
        assert job.outputs() == ["HO"]


async def test_leaving_the_block_closes_the_input(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        async with promptly(), client.endpoint("/shout").stream_inputs("a", new_key("x")) as stream:
            await stream.send("b", new_key("x"))
        assert stream.job.outputs() == ["A", "B"]


async def test_failure_of_one_input_ends_the_call(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("fail")
        async with client.endpoint("/shout").stream_inputs("a", key) as stream:
            await stream.send("fail", key)
            with pytest.raises(AppError, match="no shouting"):
                await stream.job.result()
            # What is sent now can't be taken, for the same reason.
            with pytest.raises(AppError, match="no shouting"):
                await stream.send("b", key)
        assert stream.job.outputs() == ["A"]


async def test_cancelling_stops_it_on_the_server(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        key = new_key("cancel")
        other = client.submit("x", new_key("x"), api_name="/shout")
        with trio.CancelScope() as scope:
            async with client.endpoint("/shout").stream_inputs("a", key) as stream:
                await stream.send("slow", key)
                await probe_until(client, key, started=1)
                scope.cancel()
                await trio.sleep_forever()
        assert stream.job.cancelled
        record = await probe_until(client, key, cancelled=1)
        assert "finished" not in record
        assert await other.result() == "X"
        await assert_idle(client)


async def test_cancelling_job_while_app_waits_for_input(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        async with client.endpoint("/shout").stream_inputs("a", new_key("x")) as stream:
            async for output in stream:
                assert output == "A"
                break
            stream.job.cancel("enough")
            with pytest.raises(InputStreamClosed):
                await stream.send("b", new_key("x"))
            with pytest.raises(JobCancelled, match="enough"):
                await stream.job.result()
        await assert_idle(client)


async def test_endpoint_without_such_a_connection(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(TypeError, match="/greet takes one input"):
            async with client.endpoint("/greet").stream_inputs("Ada"):
                pass
        with pytest.raises(TypeError, match="'text'"):
            async with client.endpoint("/shout").stream_inputs():
                pass
