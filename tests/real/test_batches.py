"""Batch functions: each call is one sample, which the app runs together with others."""

from __future__ import annotations

from tests.support.real import assert_idle, new_key, opened, probe, probe_until, promptly


async def test_call_is_one_sample_of_a_batch(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        for each in (client, session):
            keys = [new_key("batch") for _ in range(3)]
            # Those that wait while the first runs run together.
            jobs = [each.submit("a", keys[0], api_name="/slow_batch")]
            await probe_until(client, keys[0], started=1)
            jobs += [each.submit(t, k, api_name="/slow_batch") for t, k in zip("bc", keys[1:])]  # noqa: B905
            assert [await job.result() for job in jobs] == ["A", "B", "C"]
            assert [job.outputs() for job in jobs] == [["A"], ["B"], ["C"]]
            assert [(await probe(client, key))["at_once"] for key in keys] == [1, 2, 2]


async def test_running_batch_survives_a_cancelled_call(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        first, one, other = (new_key("batch") for _ in range(3))
        ahead = client.submit("a", first, api_name="/slow_batch")
        await probe_until(client, first, started=1)
        cancelled = client.submit("b", one, api_name="/slow_batch")
        beside = client.submit("c", other, api_name="/slow_batch")
        await probe_until(client, one, started=1, at_once=2)
        cancelled.cancel()
        async with promptly():
            await cancelled.wait()
        assert cancelled.cancelled
        # The other sample of that batch is not harmed, and the cancelled one is done for nothing.
        assert await beside.result() == "C"
        assert await ahead.result() == "A"
        await probe_until(client, one, finished=1)
        assert await client.predict("d", new_key("batch"), api_name="/slow_batch") == "D"
        await assert_idle(client)


async def test_waiting_sample_is_taken_out_of_queue(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        first, one, other = (new_key("batch") for _ in range(3))
        ahead = client.submit("a", first, api_name="/slow_batch")
        await probe_until(client, first, started=1)
        waiting = client.submit("b", one, api_name="/slow_batch")
        beside = client.submit("c", other, api_name="/slow_batch")
        async for _ in waiting.updates():
            if waiting.status().rank is not None:
                break
        waiting.cancel()
        await waiting.wait()
        assert await beside.result() == "C"
        assert await ahead.result() == "A"
        assert await probe(client, one) == {}
