"""``gr.State``: kept by session, and never shared by accident."""

from __future__ import annotations

from tests.support.real import opened


async def test_functions_share_the_state_of_their_session(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        assert await session.predict(api_name="/bump") == 1
        # Both have the same gr.State: the generator goes on where the other left it.
        job = session.submit(0, api_name="/bump_slow")
        assert await job.result() == 101
        assert job.outputs() == list(range(2, 102))
        assert await session.predict(api_name="/bump") == 102
        assert await client.predict(api_name="/bump") == 1


async def test_session_hashes(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as one, client.session() as two:
        names: list[set[str]] = []
        for session in (one, two):
            jobs = [session.submit(api_name="/who") for _ in range(5)]
            names.append({await job.result() for job in jobs})
        assert len(names[0]) == len(names[1]) == 1
        assert names[0] != names[1]
        # Calls at the same time ride in isolated sessions, each of a session of its own.
        slow = client.submit(0.3, "x", api_name="/parallel_sleep")
        isolated = await client.predict(api_name="/who")
        assert {isolated}.isdisjoint(names[0] | names[1])
        await slow.wait()


async def test_cancelled_call_keeps_session_and_its_state(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict(api_name="/bump") == 1
        job = client.submit(0.02, api_name="/bump_slow")
        async for value in job:
            if value >= 4:
                break
        job.cancel()
        await job.wait()
        # What the generator had yielded by then stays.
        after = await client.predict(api_name="/bump")
        assert 5 <= after < 100
        assert await client.predict(api_name="/bump") == after + 1
