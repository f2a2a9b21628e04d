"""The app's queue, where one call of a function runs at once and three may wait."""

from __future__ import annotations

from qa.eras.support import WAITING, Era, behaviour
from tests.support.real import new_key, opened, probe, probe_until, promptly, reach
from triojob import QueueFull, Status, StatusUpdate, UnexpectedResponse


@behaviour("Queue", "place and size")
async def test_the_place_in_the_queue(era: Era) -> None:
    async with opened(era.narrow) as client:
        keys = [new_key("place") for _ in range(3)]
        running = client.submit(1.5, keys[0], api_name="/lone_nap")
        await reach(running, Status.PROCESSING)
        first = client.submit(0.1, keys[1], api_name="/lone_nap")
        status = await reach(first, Status.IN_QUEUE)
        assert (status.rank, status.queue_size) == (0, 1)
        second = client.submit(0.1, keys[2], api_name="/lone_nap")
        status = await reach(second, Status.IN_QUEUE)
        assert (status.rank, status.queue_size) == (1, 2)
        assert await second.result() == f"slept {keys[2]}"
        ranks = [
            update.rank
            async for update in second.updates()
            if isinstance(update, StatusUpdate) and update.code is Status.IN_QUEUE
        ]
        assert ranks[0] == 1
        assert ranks == sorted(ranks, key=lambda rank: -(rank or 0))


@behaviour("Queue", "estimated time")
async def test_the_estimated_time(era: Era) -> None:
    async with opened(era.narrow) as client:
        key = new_key("estimate")
        # The estimate comes from the runs before.
        await client.predict(0.5, key, api_name="/block")
        running = client.submit(1.5, key, api_name="/block")
        await reach(running, Status.PROCESSING)
        waiting = client.submit(0.1, key, api_name="/block")
        status = await reach(waiting, Status.IN_QUEUE)
        assert status.eta is not None
        assert status.eta > 0
        await waiting.result()


@behaviour("Queue", "full")
async def test_a_full_queue(era: Era) -> None:
    async with opened(era.narrow) as client:
        keys = [new_key("full") for _ in range(WAITING + 2)]
        jobs = [client.submit(2, keys[0], api_name="/lone_nap")]
        await reach(jobs[0], Status.PROCESSING)
        for key in keys[1:-1]:
            jobs.append(client.submit(0.1, key, api_name="/lone_nap"))
            await reach(jobs[-1], Status.IN_QUEUE)
        refused = client.submit(0.1, keys[-1], api_name="/lone_nap")
        codes = [
            update.code async for update in refused.updates() if isinstance(update, StatusUpdate)
        ]
        assert Status.PROCESSING not in codes
        error = refused.exception()
        if isinstance(error, UnexpectedResponse):
            assert era.version == (4, 9)
            assert error.status == 500
            era.instead(
                "The app answers 500 and does not say why: `UnexpectedResponse` is raised, "
                "not `QueueFull`."
            )
        else:
            assert isinstance(error, QueueFull)
            assert Status.QUEUE_FULL in codes
        assert [await job.result() for job in jobs] == [f"slept {key}" for key in keys[:-1]]
        assert await probe(client, keys[-1]) == {}
        # There is room again.
        assert await client.predict(0, keys[-1], api_name="/lone_nap") == f"slept {keys[-1]}"


@behaviour("Cancelling", "a call that waits")
async def test_cancelling_a_call_that_waits(era: Era) -> None:
    async with opened(era.narrow) as client:
        keys = [new_key("waits") for _ in range(3)]
        running = client.submit(1.5, keys[0], api_name="/nap")
        await reach(running, Status.PROCESSING)
        waiting = client.submit(0.1, keys[1], api_name="/nap")
        await reach(waiting, Status.IN_QUEUE)
        behind = client.submit(0.1, keys[2], api_name="/nap")
        await reach(behind, Status.IN_QUEUE)
        waiting.cancel()
        async with promptly():
            await waiting.wait()
        assert waiting.cancelled
        assert await running.result() == f"slept {keys[0]}"
        assert await behind.result() == f"slept {keys[2]}"
        await probe_until(client, keys[2], finished=1)
        if await probe(client, keys[1]):
            assert (4, 9) <= era.version < (4, 26)
            era.instead(
                "The app may not notice that nobody waits any more: "
                "the call ends here at once, and may run there when its turn comes."
            )
