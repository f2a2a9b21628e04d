"""``timeouts=``: each phase of talking to the server has its own bound, and the work has none."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import httpcore
import pytest
import trio
import trio.testing

from tests.servers.faults import Delay, Hold, Silence, Stall
from tests.servers.scripted import Event, ScriptedServer
from tests.support.opening import add_functions, new_client, nothing_left_over, wait_until_running
from tests.support.sessions import ROOMY, add_sleeper
from triojob import Client, ConnectionFailed, ConnectionLost, ConnectionTimeout, Timeouts
from triojob.testing._server.network import MemoryNetwork
from triojob.testing.components import number

pytestmark = pytest.mark.usefixtures("either_way")

Clock = trio.testing.MockClock

SLOW = Timeouts(connect=3, write=5, read=7, stream_idle=20, cancel=11)


def test_bounds_that_hold_if_nothing_is_said() -> None:
    assert Timeouts() == Timeouts(
        connect=10, write=30, read=120, stream_idle=60, max_stream_idle=3600, cancel=5
    )


def test_none_is_no_bound_but_for_cancel() -> None:
    timeouts = Timeouts(connect=None, write=None, read=None, stream_idle=None)
    assert (timeouts.connect, timeouts.write, timeouts.read, timeouts.stream_idle) == (None,) * 4
    with pytest.raises(ValueError, match=r"Timeouts\.cancel"):
        Timeouts(cancel=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("-inf"), "5", [5], object()])
@pytest.mark.parametrize(
    "phase", ["connect", "write", "read", "stream_idle", "max_stream_idle", "cancel"]
)
def test_what_is_no_time_is_refused(phase: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Timeouts\.{phase} must be a number of seconds"):
        Timeouts(**{phase: value})


def test_the_cancel_request_always_has_a_bound() -> None:
    """It is shielded: without one, nothing could end it."""
    with pytest.raises(ValueError, match=r"Timeouts\.cancel"):
        Timeouts(cancel=float("inf"))


@pytest.mark.parametrize("value", [0, 0.5, 3, float("inf"), True])
def test_any_time_from_zero_up_will_do(value: float) -> None:
    assert Timeouts(connect=value).connect == value


# --- Connecting ---


@pytest.mark.parametrize(
    "timeouts, seconds", [(None, 10), (Timeouts(connect=3), 3), (Timeouts(connect=0.5), 0.5)]
)
async def test_a_connection_that_is_not_made(memory_app, autojump_clock, timeouts, seconds):
    memory_app.listener.connect_gate = trio.Event()
    async with nothing_left_over(memory_app):
        with pytest.raises(ConnectionFailed, match=f"no connection to .* within {seconds} s"):
            async with new_client(memory_app, timeouts=timeouts):
                pass
    assert trio.current_time() == seconds


async def test_connection_that_is_not_made_for_call(memory_app, autojump_clock):
    """The server never heard of it, and so there is nothing to cancel either."""
    add_functions(memory_app)
    async with new_client(memory_app, timeouts=SLOW) as client:
        memory_app.kill_connections()
        await trio.testing.wait_all_tasks_blocked()
        memory_app.listener.connect_gate = trio.Event()
        start = trio.current_time()
        with pytest.raises(ConnectionFailed, match=r"/echo: no connection.* within 3 s"):
            await client.predict("a", api_name="/echo")
        assert trio.current_time() - start == 3
    assert memory_app.joins == memory_app.cancels == []


async def test_connecting_may_take_its_time(memory_app, autojump_clock):
    memory_app.listener.connect_gate = trio.Event()
    async with trio.open_nursery() as nursery:

        async def connect() -> None:
            async with new_client(memory_app, timeouts=Timeouts(connect=None)):
                pass

        nursery.start_soon(connect)
        await trio.sleep(10_000)
        memory_app.listener.connect_gate.set()


# --- Sending ---


class Reluctant(MemoryNetwork):
    """A network that takes nothing more, once it is told so."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__()
        self.add("scripted.test", server.listener)
        self.full = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        connection: Any = await super().connect_tcp(host, port, timeout)
        sending = connection._stream.send_stream
        pass_on = sending.send_all_hook

        async def pass_on_unless_full() -> None:
            if self.full:
                await trio.sleep_forever()
            await pass_on()

        sending.send_all_hook = pass_on_unless_full
        return connection


@pytest.mark.parametrize("timeouts, seconds", [(None, 30), (Timeouts(write=5), 5)])
async def test_request_that_server_does_not_take(memory_app, autojump_clock, timeouts, seconds):
    network = Reluctant(memory_app)
    network.full = True
    with pytest.raises(ConnectionTimeout, match=f"accepted no data for {seconds} s") as caught:
        async with new_client(
            memory_app, transport=network.transport(limits=ROOMY), timeouts=timeouts
        ):
            pass
    assert trio.current_time() == seconds
    assert isinstance(caught.value, TimeoutError)


async def test_call_that_server_does_not_take(memory_app, autojump_clock):
    add_functions(memory_app)
    network = Reluctant(memory_app)
    transport = network.transport(limits=ROOMY)
    async with new_client(memory_app, transport=transport, timeouts=SLOW) as client:
        network.full = True
        with pytest.raises(ConnectionTimeout, match="accepted no data for 5 s"):
            await client.predict("a", api_name="/echo")
        # On a new connection, the app is asked first whether it is still the same one.
        assert trio.current_time() in (5, 10)


# --- The answer ---


@pytest.mark.parametrize("path", ["/config", "/info"])
@pytest.mark.parametrize("timeouts, seconds", [(None, 120), (Timeouts(read=7), 7)])
async def test_an_app_that_does_not_answer(memory_app, autojump_clock, path, timeouts, seconds):
    memory_app.fault("GET", path, Silence())
    async with nothing_left_over(memory_app):
        with pytest.raises(ConnectionTimeout, match=f"no response within {seconds} s"):
            async with new_client(memory_app, timeouts=timeouts):
                pass
    assert trio.current_time() == seconds


async def test_a_call_that_is_not_answered(memory_app, autojump_clock):
    """As the server may have it all the same, it is told to stop it."""
    add_functions(memory_app)
    memory_app.fault("POST", "/queue/join", Silence(), times=1)
    async with nothing_left_over(memory_app):
        async with new_client(memory_app, timeouts=SLOW) as client:
            with pytest.raises(ConnectionTimeout, match="no response within 7 s") as caught:
                await client.predict("a", api_name="/hang")
            assert trio.current_time() == 7
            assert isinstance(caught.value, (ConnectionLost, TimeoutError))
        assert len(memory_app.cancels) == 1


@pytest.mark.parametrize("response", [None, 120])
async def test_a_slow_app_is_waited_for(memory_app, autojump_clock, response):
    add_functions(memory_app)
    delay = 10_000 if response is None else 100
    for method, path in ("GET", "/config"), ("GET", "/info"), ("POST", "/queue/join"):
        memory_app.fault(method, path, Delay(delay))
    timeouts = Timeouts(read=response, stream_idle=None)
    async with new_client(memory_app, timeouts=timeouts) as client:
        assert await client.predict("a", api_name="/echo") == "a"
    assert trio.current_time() == pytest.approx(3 * delay, abs=0.1)


# --- The event stream ---


@pytest.mark.parametrize(
    "timeouts, seconds",
    [
        (None, 3600),
        (Timeouts(stream_idle=20), 3600),
        (Timeouts(max_stream_idle=200), 200),
        (Timeouts(stream_idle=4, max_stream_idle=4), 4),
        (Timeouts(max_stream_idle=7), 7),
    ],
)
async def test_an_event_stream_that_falls_silent(memory_app, autojump_clock, timeouts, seconds):
    add_functions(memory_app)
    memory_app.fault("GET", "/queue/data", Stall(100))
    async with new_client(memory_app, timeouts=timeouts) as client:
        start = trio.current_time()
        with pytest.raises(ConnectionTimeout, match=f"silent for {seconds} s"):
            await client.predict("a", api_name="/hang")
        assert trio.current_time() - start == seconds


async def test_an_event_stream_that_does_not_begin(memory_app, autojump_clock):
    add_functions(memory_app)
    memory_app.fault("GET", "/queue/data", Hold(trio.Event(), handled=False))
    async with new_client(memory_app, timeouts=SLOW) as client:
        with pytest.raises(ConnectionTimeout, match="silent for 3600 s"):
            await client.predict("a", api_name="/echo")
        assert trio.current_time() == 3600


async def test_a_heartbeat_is_a_sign_of_life(memory_app, autojump_clock):
    add_sleeper(memory_app)
    async with new_client(memory_app, timeouts=SLOW) as client:
        assert await client.predict(10_000, api_name="/sleep") == 10_000


async def test_so_is_an_output(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    memory_app.app.heartbeat_interval = float("inf")

    @memory_app.app.endpoint(inputs=[number("seconds")], generator=True)
    async def tick(event: Event) -> None:
        for count in range(10):
            await trio.sleep(event.data[0])
            await event.generating([str(count)])

    async with new_client(memory_app, timeouts=SLOW) as client:
        assert await client.predict(3599, api_name="/tick") == "9"
        with pytest.raises(ConnectionTimeout):
            await client.predict(3601, api_name="/tick")


async def test_silence_may_last_if_it_may(memory_app, autojump_clock):
    memory_app.app.heartbeat_interval = float("inf")
    add_sleeper(memory_app)
    async with new_client(memory_app, timeouts=Timeouts(stream_idle=None)) as client:
        assert await client.predict(100_000, api_name="/sleep") == 100_000


# --- The cancel request ---


@pytest.mark.parametrize(
    "timeouts, seconds", [(None, 5), (Timeouts(cancel=11), 11), (Timeouts(cancel=0), 0)]
)
async def test_server_that_is_deaf_to_cancellation(
    memory_app, autojump_clock, caplog, timeouts, seconds
):
    """The job has ended by then, and only the client's end waits."""
    add_functions(memory_app)
    memory_app.fault("POST", "/cancel", Silence())
    with caplog.at_level(logging.WARNING, "triojob"):
        async with new_client(memory_app, timeouts=timeouts) as client:
            job = client.submit("a", api_name="/hang")
            await wait_until_running(memory_app, 1)
            start = trio.current_time()
            job.cancel()
            await job.wait()
            assert trio.current_time() == start
        assert trio.current_time() - start == seconds
    (record,) = caplog.records
    assert record.getMessage() == (
        f"#{job.id} /hang: no response to a cancel request within {seconds} s (Timeouts.cancel)"
    )


async def test_unanswered_call_does_not_delay_the_end(memory_app, autojump_clock):
    """Its cancellation waits until the server has named it, for as long as a cancel request may."""
    add_functions(memory_app)
    memory_app.fault("POST", "/queue/join", Silence())
    memory_app.fault("POST", "/cancel", Silence())
    async with nothing_left_over(memory_app):
        async with new_client(memory_app, timeouts=Timeouts(cancel=11)) as client:
            client.submit("a", api_name="/echo")
            await trio.sleep(1)
            client.cancel_scope.cancel()
        # So long for the name, and as long again to tell of it.
        assert trio.current_time() == 1 + 11 + 11


async def test_slow_server_hears_of_each_cancellation(memory_app, autojump_clock):
    """The bound is on the server's silence, and not on how many wait for their turn to tell."""
    add_functions(memory_app)
    memory_app.fault("POST", "/cancel", Delay(1))
    async with new_client(memory_app) as client:
        jobs = [client.submit("a", api_name="/hang") for _ in range(150)]
        await wait_until_running(memory_app, 150)
        for job in jobs:
            job.cancel()
    assert len(memory_app.cancels) == 150
    assert memory_app.running == []


# --- The work ---


async def test_the_work_has_no_bound(memory_app: ScriptedServer, autojump_clock: Clock) -> None:
    add_sleeper(memory_app, concurrency_limit=1)
    async with new_client(memory_app, timeouts=SLOW) as client:
        jobs = [client.submit(1000, api_name="/sleep") for _ in range(5)]
        assert [await job.result() for job in jobs] == [1000] * 5


def test_a_client_takes_timeouts_by_name_only() -> None:
    with pytest.raises(TypeError):
        Client("http://app.test", Timeouts())  # type: ignore[misc]
