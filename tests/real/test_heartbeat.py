"""Heartbeats: the app unloads a session when it ends, and not before."""

from __future__ import annotations

from tests.support.real import new_key, opened, probe, probe_until
from triojob import Client


async def unloads(client: Client, session_hash: str) -> int:
    record = await probe(client, f"unload {session_hash}")
    return int(record.get("unloaded", 0))


async def test_session_is_unloaded_at_its_end(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        async with client.session() as other:
            other_hash = await other.predict(api_name="/who")
            async with client.session() as session:
                assert await session.predict(api_name="/bump") == 1
                session_hash = await session.predict(api_name="/who")
                assert await session.predict(0.1, new_key("x"), api_name="/slow") == "slept 0.1"
                assert await unloads(client, session_hash) == 0
                assert await session.predict(api_name="/bump") == 2
            await probe_until(client, f"unload {session_hash}", unloaded=1)
            assert await unloads(client, other_hash) == 0
            assert await other.predict(api_name="/bump") == 1
        await probe_until(client, f"unload {other_hash}", unloaded=1)


async def test_client_is_unloaded_when_it_ends(gradio_url: str) -> None:
    async with opened(gradio_url) as watcher:
        async with Client(gradio_url) as client:
            assert await client.predict(api_name="/bump") == 1
            own_hash = client._session._hash
            isolated_hash = await client.predict(api_name="/who")
            assert await unloads(watcher, own_hash) == 0
            assert await client.predict(api_name="/bump") == 2
        await probe_until(watcher, f"unload {own_hash}", unloaded=1)
        # Nothing is kept for an isolated session, so there is nothing to unload.
        assert await unloads(watcher, isolated_hash) == 0


async def test_running_job_is_cancelled_before_unload(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        async with client.session() as session:
            session_hash = await session.predict(api_name="/who")
            key = new_key("unload")
            job = session.submit(100, key, api_name="/slow")
            await probe_until(client, key, started=1)
            job.cancel()
        await probe_until(client, f"unload {session_hash}", unloaded=1)
        assert (await probe(client, key)).get("cancelled") == 1
