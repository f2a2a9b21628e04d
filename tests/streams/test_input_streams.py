"""Streams of inputs: nothing is lost, whatever the order, the faults and the cancellations."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.faults import Answer, Cut, Hold, Lose
from tests.servers.scripted import Event, ScriptedServer
from tests.support.sessions import opened, until
from triojob import (
    ConnectionLost,
    InputStreamClosed,
    JobCancelled,
    UnexpectedResponse,
)
from triojob.testing._server.description import AppEndpoint
from triojob.testing.components import number, textbox

Clock = trio.testing.MockClock
Taken = list[Any]


def add_taker(server: ScriptedServer, *, seconds: float = 1, time_limit: float = 30) -> Taken:
    """Add an endpoint that takes some time for each input and gives it back; list what it took."""
    taken: Taken = []

    async def take(event: Event) -> None:
        while True:
            taken.append(event.data[0])
            await trio.sleep(seconds)
            last = [f"took {event.data[0]}"]
            await event.streaming(last)
            if not await event.next_input(time_limit):
                break
        await event.completed(last)

    server.app.add("take", take, inputs=["text"], extra={"connection": "stream"})
    return taken


def posts(server: ScriptedServer) -> list[str]:
    """List the kind of each request about inputs."""
    paths = [r.path for r in server.requests if r.method == "POST"]
    return ["close" if p.endswith("/close") else "send" for p in paths if p.startswith("/stream/")]


async def test_each_input_waits_for_its_answer(memory_app, autojump_clock):
    taken = add_taker(memory_app)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            for text in "bcd":
                await stream.send(text)
            assert taken[:3] == list("abc")
            # Many tasks may send: each input is taken, though in no order.
            async with trio.open_nursery() as nursery:
                for text in "efg":
                    nursery.start_soon(stream.send, text)
        assert stream.job.outputs() == [f"took {text}" for text in taken]
        assert sorted(taken) == list("abcdefg")
        assert await stream.job.result() == f"took {taken[-1]}"
        assert posts(memory_app) == [*["send"] * 6, "close"]


async def test_full_body_goes_with_each_input(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        endpoint = client.endpoint("/take").with_event_data({"a": 1}, 3)
        async with endpoint.stream_inputs("a") as stream:
            await stream.send(text="b")
    (join,) = memory_app.joins
    (event_id,) = memory_app.events
    sent = [r for r in memory_app.requests if r.path == f"/stream/{event_id}"]
    assert [request.json for request in sent] == [{**join, "data": ["b"]}]
    assert sent[0].json["event_data"] == {"a": 1}


async def test_repeated_values_are_outputs_of_their_own(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            for _ in range(3):
                await stream.send("a")
        assert stream.job.outputs() == ["took a"] * 4


async def test_wrong_arguments_are_refused_when_passed(memory_app, autojump_clock):
    taken = add_taker(memory_app)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with pytest.raises(TypeError):
                await stream.send("b", "c")
            with pytest.raises(ValueError, match="'text'"):
                await stream.send(float("nan"))
            await stream.send("d")
        assert taken == ["a", "d"]
        with pytest.raises(TypeError):
            async with client.endpoint("/take").stream_inputs():
                pass
    assert len(memory_app.joins) == 1


async def test_end_is_sent_once_after_last_answer(memory_app, autojump_clock):
    taken = add_taker(memory_app, seconds=10)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            await stream.send("b")
            await stream.send_eof()
            assert taken == ["a", "b"]
            await stream.send_eof()
            with pytest.raises(InputStreamClosed, match=r"/take.*its input was closed"):
                await stream.send("c")
            assert [output async for output in stream] == ["took a", "took b"]
            with pytest.raises(InputStreamClosed, match="its input was closed"):
                await stream.send("c")
        assert posts(memory_app) == ["send", "close"]


async def test_call_that_the_app_ends(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_taker(memory_app, time_limit=5)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            await stream.send("b")
            await trio.sleep(20)
            with pytest.raises(InputStreamClosed, match="it has ended"):
                await stream.send("c")
        assert await stream.job.result() == "took b"
        assert posts(memory_app) == ["send"]


@pytest.mark.parametrize("status", [404, 500])
async def test_event_that_is_gone(status, memory_app, autojump_clock):
    add_taker(memory_app)
    memory_app.fault("POST", "/stream", Answer(status))
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with pytest.raises(InputStreamClosed) as caught:
                await stream.send("b")
            assert not any(word in str(caught.value) for word in memory_app.events)
        # The app was not told either that there is no more, and ended when it had waited enough.
        assert await stream.job.result() == "took a"


async def test_other_answers_are_said(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_taker(memory_app)
    memory_app.fault("POST", "/stream", Answer(403, "not you"), times=1)
    async with opened(memory_app) as client:
        with pytest.raises(UnexpectedResponse, match="not you"):
            async with client.endpoint("/take").stream_inputs("a") as stream:
                await stream.send("b")
        assert stream.job.cancelled


async def test_lost_request(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    taken = add_taker(memory_app)
    memory_app.fault("POST", "/stream", Lose(handled=True), times=1)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with pytest.raises(ConnectionLost) as caught:
                await stream.send("b")
            assert not any(word in str(caught.value) for word in memory_app.events)
            # The app had it, so its answer comes, and the next input may go.
            await stream.send("c")
        assert taken == ["a", "b", "c"]


async def test_broken_stream_ends_it(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_taker(memory_app)
    memory_app.fault("GET", "/queue/data", Cut(after_bytes=700))
    async with opened(memory_app) as client:
        with pytest.raises(ConnectionLost):
            async with client.endpoint("/take").stream_inputs("a") as stream:
                for text in "bcdefgh":
                    await stream.send(text)
                pytest.fail("sent them all")
        with pytest.raises(ConnectionLost):
            await stream.send("z")


async def test_unretrieved_stream_failure_is_raised(memory_app, autojump_clock):
    async def fail(event: Event) -> None:
        await event.streaming(["one"])
        await event.next_input()
        await event.fail({"error": "boom"})

    memory_app.app.add("fail", fail, inputs=["text"], extra={"connection": "stream"})
    async with opened(memory_app) as client:
        with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="boom")):
            async with client.endpoint("/fail").stream_inputs("a") as stream:
                await stream.send("b")
        assert stream.job.outputs() == ["one"]


async def test_cancelling_cancels_the_event(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        with trio.move_on_after(5.5) as scope:
            async with client.endpoint("/take").stream_inputs("a") as stream:
                while True:
                    await stream.send("b")
        assert scope.cancelled_caught
        assert stream.job.cancelled
        await memory_app.settled()
        (event,) = memory_app.events.values()
        assert event.state == "cancelled"
        assert len(memory_app.cancels) == 1
        assert "close" not in posts(memory_app)


@pytest.mark.parametrize("round_", range(20))
async def test_no_input_is_sent_after_the_cancellation(memory_app, autojump_clock, round_):
    """Whether the job's task or this one runs first: that is a coin flip of Trio's."""
    taken = add_taker(memory_app)
    async with opened(memory_app) as client, client.endpoint("/take").stream_inputs("a") as stream:
        async for output in stream:
            assert output == "took a"
            break
        stream.job.cancel("enough")
        with pytest.raises(InputStreamClosed):
            await stream.send("b")
        with pytest.raises(JobCancelled, match="enough"):
            await stream.job.result()
    assert taken == ["a"]
    assert "send" not in posts(memory_app)


async def test_raising_body_cancels_and_is_bare(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(KeyError, match="mine"):
            async with client.endpoint("/take").stream_inputs("a") as stream:
                await stream.send("b")
                raise KeyError("mine")
        assert stream.job.cancelled
        await memory_app.settled()
        assert [event.state for event in memory_app.events.values()] == ["cancelled"]


async def test_job_that_is_cancelled_before_it_began(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            stream.job.cancel()
            with pytest.raises(InputStreamClosed):
                await stream.send("b")
            with pytest.raises(JobCancelled):
                await stream.job.result()
        assert memory_app.joins == []


async def test_cancelled_waiting_send_sends_nothing(memory_app, autojump_clock):
    taken = add_taker(memory_app, seconds=10)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with trio.move_on_after(5) as scope:
                await stream.send("b")
            assert scope.cancelled_caught
            await stream.send("c")
        assert taken == ["a", "c"]


async def test_late_cancelled_send_is_sent(memory_app, autojump_clock, caplog):
    taken = add_taker(memory_app)
    gate = trio.Event()
    memory_app.fault("POST", "/stream", Hold(gate, handled=False), times=1)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with trio.move_on_after(5) as scope:
                await stream.send("b")
            assert scope.cancelled_caught
            gate.set()
            # The next one waits for the answer to that one, so neither is lost.
            await stream.send("c")
        assert taken == ["a", "b", "c"]
    assert "can't send an input" not in caplog.text


async def test_unawaited_inputs_failure_is_logged(memory_app, autojump_clock, caplog):
    caplog.set_level(logging.WARNING, logger="triojob")
    taken = add_taker(memory_app)
    gate = trio.Event()
    memory_app.fault("POST", "/stream", Hold(gate, handled=False), Lose(handled=True), times=1)
    async with opened(memory_app) as client:
        async with client.endpoint("/take").stream_inputs("a") as stream:
            with trio.move_on_after(5):
                await stream.send("b")
            gate.set()
            await stream.send("c")
        assert taken == ["a", "b", "c"]
    assert "can't send an input" in caplog.text


async def test_plain_call_closes_its_input(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client:
        before = trio.current_time()
        assert await client.predict("a", api_name="/take") == "took a"
        assert trio.current_time() - before < 5
        assert posts(memory_app) == ["close"]
        # An app that can't be told ends the call in its own time.
        memory_app.fault("POST", "/stream", Lose(handled=False))
        assert await client.predict("a", api_name="/take") == "took a"
        assert trio.current_time() - before > 30


async def test_several_streams_in_one_session(memory_app, autojump_clock):
    add_taker(memory_app)
    async with opened(memory_app) as client, client.session() as session:
        outputs: dict[str, list[str]] = {}

        async def talk(name: str) -> None:
            async with session.endpoint("/take").stream_inputs(f"{name} 0") as stream:
                for i in range(1, 4):
                    await stream.send(f"{name} {i}")
            outputs[name] = stream.job.outputs()

        async with trio.open_nursery() as nursery:
            for name in "xyz":
                nursery.start_soon(talk, name)
        assert outputs == {name: [f"took {name} {i}" for i in range(4)] for name in "xyz"}


async def test_endpoint_without_such_a_connection(memory_app, autojump_clock):
    echo: AppEndpoint = memory_app.app.add("echo", inputs=[textbox("text"), number("n")])
    add_taker(memory_app)
    async with opened(memory_app) as client:
        with pytest.raises(TypeError, match="/echo takes one input"):
            async with client.endpoint(fn_index=echo.fn_index).stream_inputs("a", 1):
                pass
        assert client.view_api().count("takes a stream of inputs") == 1
        async with client.endpoint("/take").stream_inputs("a") as stream:
            await until(lambda: memory_app.running)
            assert repr(stream).startswith("<InputStream <Job #")
    assert memory_app.paths().count("POST /queue/join") == 1
