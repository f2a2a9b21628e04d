"""State, and many calls in one session."""

from __future__ import annotations

from qa.eras.support import Era, behaviour
from tests.support.real import assert_idle, opened, promptly, reach
from triojob import JobCancelled, Status


@behaviour("State and sessions", "kept in a client")
async def test_state_is_kept_in_a_client(era: Era) -> None:
    async with opened(era.wide) as client:
        assert [await client.predict(api_name="/bump") for _ in range(3)] == [1, 2, 3]


@behaviour("State and sessions", "apart in others")
async def test_state_is_apart_in_clients_and_sessions(era: Era) -> None:
    async with opened(era.wide) as client, opened(era.wide) as other:
        assert await client.predict(api_name="/bump") == 1
        assert await other.predict(api_name="/bump") == 1
        async with client.session() as session:
            assert await session.predict(api_name="/bump") == 1
            assert await session.predict(api_name="/bump") == 2
        assert await client.predict(api_name="/bump") == 2


@behaviour("State and sessions", "30 calls in a session")
async def test_thirty_calls_in_a_session(era: Era) -> None:
    async with opened(era.wide) as client:
        async with client.session() as session:
            jobs = [session.submit(0.3, f"s{i}", api_name="/lone_nap") for i in range(15)]
            streams = [session.submit(4, 0.05, f"s{i}", api_name="/ticker") for i in range(15)]
            assert [await job.result() for job in jobs] == [f"slept s{i}" for i in range(15)]
            for stream in streams:
                assert [text async for text in stream] == ["0", "1", "2", "3"]
        await assert_idle(client)


@behaviour("State and sessions", "cancelling one of a session")
async def test_cancelling_one_call_of_a_session(era: Era) -> None:
    async with opened(era.wide) as client, client.session() as session:
        kept = session.submit(1, "kept", api_name="/nap")
        dropped = session.submit(600, "dropped", api_name="/nap")
        await reach(kept, Status.PROCESSING)
        await reach(dropped, Status.PROCESSING)
        dropped.cancel("enough")
        async with promptly():
            await dropped.wait()
        assert dropped.cancelled
        assert isinstance(dropped.exception(), JobCancelled)
        assert await kept.result() == "slept kept"
