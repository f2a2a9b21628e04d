"""The WebSocket of Gradio 3, when things go wrong."""

from __future__ import annotations

import json
import socket as socket_module
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed
from wsproto.frame_protocol import FrameProtocol

from tests.drivers.peer import SECONDS, SocketPeer
from tests.servers.echoing import found_in, shown
from triojob import (
    AuthenticationError,
    Client,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    Job,
    JobCancelled,
    JobGroup,
    Limits,
    MissingDependency,
    ProtocolError,
    QueueFull,
    Status,
    StatusUpdate,
    Timeouts,
    TriojobError,
)

NO_LINGER = struct.pack("ii", 1, 0)
"""Has a socket reset its connection when it is closed."""
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
Script = Callable[[Any], Awaitable[None]]


class Talk:
    """One connection, as the test has the server talk; `gone` is set when the client has left."""

    def __init__(self) -> None:
        self.gone = trio.Event()
        self.steps = 0

    async def send(self, socket: Any, kind: str, **fields: Any) -> None:
        await socket.send_message(json.dumps({"msg": kind, **fields}))

    async def start(self, socket: Any, upto: int) -> None:
        """Talk as Gradio does, for so many steps; then wait until the client has gone."""
        try:
            steps: list[Callable[[], Awaitable[Any]]] = [
                lambda: self.send(socket, "send_hash"),
                socket.get_message,
                lambda: self.send(socket, "estimation", rank=0, queue_size=1, rank_eta=None),
                lambda: self.send(socket, "send_data"),
                socket.get_message,
                lambda: self.send(socket, "process_starts"),
                lambda: self.send(
                    socket, "process_generating", output={"data": ["0"]}, success=True
                ),
            ]
            for step in steps[:upto]:
                await step()
                self.steps += 1
            while True:
                await socket.get_message()
        except ConnectionClosed:
            self.gone.set()


@asynccontextmanager
async def called(
    script: Script, **options: Any
) -> AsyncIterator[tuple[SocketPeer, Client, Job[Any]]]:
    peer = SocketPeer("3.50.2")
    peer.script = script
    with trio.fail_after(SECONDS):
        async with (
            peer.serving(),
            Client(peer.url, transport=peer, **options) as client,
        ):
            yield peer, client, client.submit(3, api_name="/count")


async def assert_idle(client: Client) -> None:
    while f" 0/{client.limits.streams} streams" not in repr(client):  # noqa: ASYNC110
        await trio.sleep(0.01)


@pytest.mark.parametrize("upto", range(8))
async def test_cancelled_at_each_step(upto: int) -> None:
    talk = Talk()
    async with called(lambda socket: talk.start(socket, upto)) as (_, client, job):
        while talk.steps < upto:  # noqa: ASYNC110 - the server is another task, with steps to make
            await trio.sleep(0.01)
        job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        if upto:
            await talk.gone.wait()
        await assert_idle(client)


@pytest.mark.parametrize("upto", [0, 1, 3, 4, 6])
async def test_the_server_hangs_up(upto: int) -> None:
    async def script(socket: Any) -> None:
        talk = Talk()
        with trio.move_on_after(0.1):
            await talk.start(socket, upto)
        await socket.aclose()

    async with called(script) as (_, client, job):
        with pytest.raises(ConnectionLost):
            await job.result()
        await assert_idle(client)


@pytest.mark.parametrize("status", [b"401 no", b"500 no", b"101 no", b"no"])
async def test_a_refused_handshake_shows_no_secret(status: bytes) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        request = await stream.receive_some(65536)
        sent = request.replace(b"\r\n", b" ")
        head = b"HTTP/1.1 %s\r\nx-echo: %s\r\nsec-websocket-accept: %s\r\n" % (status, sent, sent)
        await stream.send_all(head + b"content-length: %d\r\n\r\n%s" % (len(sent), sent))
        await trio.aclose_forcefully(stream)

    peer = SocketPeer("3.50.2")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
    secrets = {"headers": {"x-key": "k3y-of-mine"}, "cookies": {"a": "c00kie-of-mine"}}
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, refuse, [listener])
            async with Client(peer.url, transport=peer, **secrets) as client:
                with pytest.raises(TriojobError) as caught:
                    await client.predict(3, api_name="/count")
            nursery.cancel_scope.cancel()
    assert not found_in(shown(caught.value), ["k3y-of-mine", "c00kie-of-mine"])


async def test_the_server_resets_the_connection() -> None:
    async def script(socket: Any) -> None:
        await socket.send_message('{"msg": "send_hash"}')
        await socket.get_message()
        await trio.aclose_forcefully(socket._stream)

    async with called(script) as (_, client, job):
        with pytest.raises(ConnectionLost):
            await job.result()
        await assert_idle(client)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching Pro"])
@pytest.mark.parametrize("reset", [False, True])
async def test_broken_handshake_leaves_no_socket(answer, reset, monkeypatch):
    async def break_off(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(answer)
        if reset:
            stream.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_LINGER, NO_LINGER)
        await trio.aclose_forcefully(stream)

    made: list[trio.SocketStream] = []
    connect = trio.open_tcp_stream

    async def connecting(*args: Any, **options: Any) -> trio.SocketStream:
        made.append(await connect(*args, **options))
        return made[-1]

    peer = SocketPeer("3.50.2")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
    monkeypatch.setattr(trio, "open_tcp_stream", connecting)
    # Longer than the test may take: this wait is not what ends the call.
    times = Timeouts(connect=SECONDS * 10)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, break_off, [listener])
            async with Client(peer.url, transport=peer, timeouts=times) as client:
                with pytest.raises(ConnectionFailed, match="/count"):
                    await client.predict(3, api_name="/count")
                await assert_idle(client)
            nursery.cancel_scope.cancel()
    assert [stream.socket.fileno() for stream in made] == [-1]


async def test_question_that_comes_twice_is_answered_once() -> None:
    answers: list[dict[str, Any]] = []

    async def script(socket: Any) -> None:
        for kind in ("send_hash", "send_data"):
            for _ in range(2):
                await socket.send_message(json.dumps({"msg": kind}))
            answers.append(json.loads(await socket.get_message()))
        done = {"msg": "process_completed", "output": {"data": ["done"]}, "success": True}
        await socket.send_message(json.dumps(done))
        with pytest.raises(ConnectionClosed):
            answers.append(json.loads(await socket.get_message()))

    async with called(script) as (_, client, job):
        assert await job.result() == "done"
        await assert_idle(client)
    assert ["data" in answer for answer in answers] == [False, True]


@pytest.mark.parametrize(
    "garbage", ["{", "[]", "3", '{"msg": 3}', '{"msg": "process_completed"}', b"\xff", "\x00"]
)
async def test_garbage(garbage: str | bytes) -> None:
    async def script(socket: Any) -> None:
        await socket.send_message(garbage)
        await socket.get_message()

    async with called(script) as (_, client, job):
        with pytest.raises(ProtocolError):
            await job.result()
        await assert_idle(client)


async def test_a_full_queue() -> None:
    async def script(socket: Any) -> None:
        await socket.send_message('{"msg": "queue_full"}')
        await socket.aclose()

    async with called(script) as (_, client, job):
        with pytest.raises(QueueFull):
            await job.result()
        await assert_idle(client)


async def test_an_app_that_wants_a_login() -> None:
    async def script(socket: Any) -> None:
        await socket.aclose(1008)

    async with called(script) as (_, _, job):
        with pytest.raises(AuthenticationError):
            await job.result()


@pytest.mark.parametrize("parts", [1, 10, 200_000])
async def test_a_message_that_is_too_large(parts: int) -> None:
    """In one frame or in many, of which each may be empty."""

    async def script(socket: Any) -> None:
        text = json.dumps({"msg": "x" * 200_000 * (parts < 100)})
        size = len(text) // parts + 1
        frames = FrameProtocol(client=False, extensions=[])
        with suppress(trio.BrokenResourceError):
            pieces = [text[part * size : (part + 1) * size] for part in range(parts)]
            await socket._stream.send_all(
                b"".join(frames.send_data(piece, fin=False) for piece in pieces)
            )
            await socket.get_message()

    # The description of the recorded app is smaller than that.
    async with called(script, limits=Limits(message_size=100_000)) as (_, client, job):
        with pytest.raises(ProtocolError, match=r"Limits\.message_size"):
            await job.result()
        await assert_idle(client)


async def test_without_library_opening_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wsproto", None)
    with pytest.raises(MissingDependency, match=r"pip install 'triojob\[ws\]'"):
        async with Client("http://peer.test", transport=SocketPeer("3.50.2")):
            pass


async def test_pings_are_answered_and_frames_make_message() -> None:
    async def script(socket: Any) -> None:
        frames = FrameProtocol(client=False, extensions=[])
        text = '{"msg": "send_hash", "note": "caf\u00e9 \U0001f600"}'
        for character in text:
            await socket._stream.send_all(frames.send_data(character, fin=False))
            await socket.ping()  # returns when it is answered
        await socket._stream.send_all(frames.send_data("", fin=True))
        assert "fn_index" in await socket.get_message()
        done = {"msg": "process_completed", "output": {"data": ["done"]}, "success": True}
        await socket.send_message(json.dumps(done))

    async with called(script) as (_, client, job):
        assert await job.result() == "done"
        await assert_idle(client)


@pytest.mark.parametrize(
    "frame, code",
    [
        (b"\x81\x01\xff", 1007),  # no UTF-8
        (b"\xf1\x00", 1002),  # bits that mean nothing
        (b"\x83\x00", 1002),  # a kind that does not exist
        (b"\x88\x02\x03\xf1", 1009),
        (b"", 1006),
    ],
)
async def test_frames_that_break_the_rules(frame: bytes, code: int) -> None:
    async def script(socket: Any) -> None:
        await socket.send_message('{"msg": "send_hash"}')
        await socket.get_message()
        await socket._stream.send_all(frame)
        await socket._stream.aclose()

    async with called(script) as (_, client, job):
        with pytest.raises(ConnectionLost, match=f"code {code}"):
            await job.result()
        await assert_idle(client)


@pytest.mark.parametrize(
    "answer, error, words",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", ConnectionFailed, "status 200"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", AuthenticationError, "login"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", ConnectionFailed, "status 302"),
        (SWITCHING + b"\r\n", ConnectionFailed, "opens no WebSocket"),
        (SWITCHING + b"sec-websocket-accept: x\r\n\r\n", ConnectionFailed, "opens no WebSocket"),
        (b"nonsense\r\n\r\n", ConnectionFailed, "can't open a WebSocket"),
    ],
)
async def test_an_answer_that_is_no_websocket(answer, error, words):
    await predict_at(answer, error, words, Timeouts())


async def test_an_answer_that_does_not_come():
    answer = b"HTTP/1.1 102 Processing\r\n\r\n" * 1000
    words = "can't open a WebSocket within"
    await predict_at(answer, ConnectionFailed, words, Timeouts(connect=0.2))


async def predict_at(answer: bytes, error: type[Exception], words: str, times: Timeouts) -> None:
    """Call an app whose WebSocket answers so, and see what the call raises."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(answer)
            await stream.receive_some(65536)

    peer = SocketPeer("3.50.2")
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            peer.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
            nursery.start_soon(trio.serve_listeners, serve, listeners)
            async with Client(peer.url, transport=peer, timeouts=times) as client:
                with pytest.raises(error, match=words):
                    await client.predict(3, api_name="/count")
                await assert_idle(client)
            nursery.cancel_scope.cancel()


async def test_a_server_that_leaves_the_connection_open() -> None:
    """It says cancel request and then does nothing: the connection is closed from here."""
    held: list[Any] = []

    async def script(socket: Any) -> None:
        message = {"msg": "process_completed", "output": {"data": ["2"]}, "success": True}
        await socket.send_message(json.dumps(message))
        held.append(socket)
        await trio.sleep_forever()

    async with called(script, timeouts=Timeouts(cancel=0.1)) as (_, client, job):
        assert await job.result() == "2"
        await assert_idle(client)
    assert len(held) == 1


async def test_a_silent_server_that_answers_pings() -> None:
    talk = Talk()
    timeouts = Timeouts(stream_idle=0.02)
    async with called(lambda socket: talk.start(socket, 6), timeouts=timeouts) as (_, _, job):
        while talk.steps < 6:  # noqa: ASYNC110 - nothing tells
            await trio.sleep(0.001)
        # Some silences, each of which ends in a ping.
        await trio.sleep(0.2)
        assert not job.done
        job.cancel()
        await talk.gone.wait()


async def test_a_silent_server_that_answers_no_ping() -> None:
    async def script(socket: Any) -> None:
        # Nobody reads any more, so nobody answers.
        socket._reader_running = False
        await socket.send_message('{"msg": "send_hash"}')
        await trio.sleep_forever()

    async with called(script, timeouts=Timeouts(stream_idle=0.05, read=0.05)) as (_, client, job):
        with pytest.raises(ConnectionTimeout):
            await job.result()
        await assert_idle(client)


async def test_generators_of_one_session_take_turns() -> None:
    """Gradio 3 keeps one run of a generator for each session; another would get in its way."""
    at_once = 0
    most = 0

    async def script(socket: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(0.02)
        at_once -= 1
        message = {"msg": "process_completed", "output": {"data": ["2"]}, "success": True}
        await socket.send_message(json.dumps(message))
        await socket.aclose()

    peer = SocketPeer("3.50.2")
    peer.script = script
    with trio.fail_after(SECONDS):
        async with (
            peer.serving(),
            Client(peer.url, transport=peer) as client,
            client.session() as session,
        ):
            jobs = [session.submit(3, api_name="/count") for _ in range(5)]
            assert [await job.result() for job in jobs] == ["2"] * 5
            assert most == 1
            jobs = [session.submit("x", api_name="/greet") for _ in range(5)]
            assert [await job.result() for job in jobs] == ["2"] * 5
            assert most > 1  # what is no generator has no run to keep
            most = 0
            async with JobGroup() as group:
                for _ in range(5):
                    group.submit(client.endpoint("/count"), 3)
            assert most > 1  # isolated sessions are sessions of their own


async def test_waiting_generators_end_with_session() -> None:
    talk = Talk()
    peer = SocketPeer("3.50.2")
    peer.script = lambda socket: talk.start(socket, 6)
    with trio.fail_after(SECONDS):
        async with (
            peer.serving(),
            Client(peer.url, transport=peer) as client,
            JobGroup() as group,
        ):
            async with client.session() as session:
                jobs = [group.submit(session.endpoint("/count"), 3) for _ in range(3)]
                while talk.steps < 6:  # noqa: ASYNC110 - the server is another task
                    await trio.sleep(0.01)
            for number, job in enumerate(jobs):
                with pytest.raises(JobCancelled, match="its session has ended"):
                    await job.result()
                told = [update async for update in job.updates()]
                codes = {update.code for update in told if isinstance(update, StatusUpdate)}
                assert (Status.JOINING_QUEUE in codes) == (number == 0)
            assert len(peer.handshakes) == 1
            await assert_idle(client)
