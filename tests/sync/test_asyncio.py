"""Jobs in asyncio: awaited by `asyncio.wrap_future`, and followed by ``async for``."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.support.jobs import count
from tests.support.threads import ServerThread, Watched
from triojob import JobGroup
from triojob.sync import (
    AppError,
    Client,
    Job,
    OutputUpdate,
    Status,
    StatusUpdate,
    start_portal,
    submit,
)


@pytest.fixture
def client(own_server: ServerThread) -> Iterator[Client]:
    with start_portal() as portal:
        yield Client(own_server.url, portal=portal)


def run(main: Any) -> Any:
    """Run ``main`` in asyncio, and end what hangs."""
    return asyncio.run(asyncio.wait_for(main, 60))


def test_a_job_is_awaited_by_wrap_future(client: Client) -> None:
    async def main() -> list[str]:
        jobs = [client.submit(str(n), api_name="/greet") for n in range(20)]
        results: list[str] = await asyncio.gather(*map(asyncio.wrap_future, jobs))
        return results

    assert run(main()) == [f"Hello {n}!" for n in range(20)]


def test_raised_failure_is_retrieved(client: Client, caplog: Any) -> None:
    async def main() -> None:
        with pytest.raises(AppError, match="kaput"):
            await asyncio.wrap_future(client.submit("kaput", api_name="/fail"))

    run(main())
    assert caplog.records == []


def test_cancelling_the_wrapped_future_cancels_the_job(client, own_server):
    async def main() -> Job:
        job = client.submit("x", api_name="/hang")
        await asyncio.to_thread(own_server.until, lambda server: server.running)
        waiting = asyncio.wrap_future(job)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return job

    assert run(main()).cancelled()
    own_server.until_states("cancelled")


def test_a_timeout_of_asyncio_cancels_the_job(client: Client, own_server: ServerThread) -> None:
    async def main() -> Job:
        job = client.submit("x", api_name="/hang")
        await asyncio.to_thread(own_server.until, lambda server: server.running)
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await asyncio.wait_for(asyncio.wrap_future(job), 0.01)
        return job

    assert run(main()).cancelled()
    own_server.until_states("cancelled")


def test_cancelling_the_job_cancels_the_wrapped_future(client: Client) -> None:
    async def main() -> None:
        job = client.submit("x", api_name="/hang")
        waiting = asyncio.wrap_future(job)
        assert await asyncio.to_thread(job.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(main())


def test_each_message_of_a_job_is_followed(client: Client) -> None:
    async def main() -> list[Any]:
        return [update async for update in client.submit(3, api_name="/count")]

    updates = run(main())
    outputs = [update for update in updates if isinstance(update, OutputUpdate)]
    assert [update.outputs for update in outputs[:-1]] == ["0", "1", "2"]
    assert (outputs[-1].final, outputs[-1].outputs) == (True, {"data": ["2"]})
    codes = [update.code for update in updates if isinstance(update, StatusUpdate)]
    assert codes[-1] is Status.FINISHED
    assert Status.ITERATING in codes
    assert updates[-1] is outputs[-1]


def test_left_loop_can_be_continued(client: Client) -> None:
    async def main() -> None:
        job = client.submit("x", api_name="/endless")
        seen: list[Any] = []
        for _ in range(3):
            async for update in job:
                if isinstance(update, OutputUpdate):
                    seen.append(update.outputs)
                    break
        assert seen == ["0", "1", "2"]
        job.cancel()

    run(main())


def test_cancelled_loop_leaves_nothing(client: Client) -> None:
    async def main() -> None:
        job = client.submit("x", api_name="/hang")

        async def follow() -> None:
            async for _ in job:
                pass

        following = asyncio.ensure_future(follow())
        # Nothing tells that a task waits.
        while not job._shared.waiters.changed._waiters or not job.running():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        assert not job._shared.waiters.changed._waiters
        assert not job.done()
        job.cancel()

    run(main())


def test_job_that_is_cancelled_ends_loop(client: Client) -> None:
    async def main() -> None:
        job = client.submit("x", api_name="/endless")
        async for update in job:
            if isinstance(update, OutputUpdate):
                await asyncio.to_thread(job.cancel)
        assert job.cancelled()

    run(main())


def test_loops_in_threads_share_jobs(client: Client) -> None:
    jobs = [client.submit(0.05, str(n), api_name="/pause") for n in range(10)]

    async def wait() -> list[str]:
        results: list[str] = await asyncio.gather(*map(asyncio.wrap_future, jobs))
        return results

    async def follow() -> list[list[Any]]:
        return [await types_of(job) for job in jobs]

    async def types_of(job: Job) -> list[Any]:
        return [update.type async for update in job]

    waiting = [Watched(run, wait()), Watched(run, wait())]
    following = Watched(run, follow())
    for thread in waiting:
        assert thread.get() == [str(n) for n in range(10)]
    assert all(types[-1] == "output" for types in following.get())


def test_two_loops_share_messages_of_job(client: Client) -> None:
    job = client.submit(200, api_name="/count")

    async def follow() -> list[Any]:
        return [
            update.outputs
            async for update in job
            if isinstance(update, OutputUpdate) and not update.final
        ]

    loops = [Watched(run, follow()) for _ in range(2)]
    seen = sorted([number for loop in loops for number in loop.get()], key=int)
    assert seen == [str(n) for n in range(200)]


def test_closed_loop_leaves_job_to_others(client, caplog):
    job = client.submit(0.3, "value", api_name="/pause")
    loop = asyncio.new_event_loop()

    async def follow() -> None:
        async for _ in job:
            pass

    following = loop.create_task(follow())
    loop.run_until_complete(asyncio.sleep(0.05))
    assert not following.done()
    # As a program does that gives up without cleaning up.
    following._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert job.result() == "value"
    assert caplog.records == []
    following.get_coro().close()


def test_it_follows_job_beside_guest_of_trio() -> None:
    """Trio and asyncio run in the same thread then."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        entered: asyncio.Queue[JobGroup] = asyncio.Queue()
        over: asyncio.Future[Any] = loop.create_future()

        async def guest() -> None:
            async with JobGroup() as group:
                entered.put_nowait(group)
                await trio.sleep_forever()

        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=over.set_result,
        )
        group = await entered.get()
        here, there = submit(group, count, 2), await asyncio.to_thread(submit, group, count, 2)
        kinds = [type(update).__name__ for job in (here, there) async for update in job]
        assert await asyncio.wrap_future(here) == 1
        with pytest.raises(RuntimeError, match="would block the thread"):
            submit(group, trio.sleep_forever).result()
        group.cancel_scope.cancel()
        await over
        return kinds

    assert run(main()).count("OutputUpdate") == 6


def test_asyncio_iteration_is_for_asyncio_only(client: Client) -> None:
    job = client.submit("x", api_name="/hang")
    with pytest.raises(RuntimeError, match="no running event loop"):
        job.__anext__().send(None)  # type: ignore[attr-defined]
    job.cancel()


def test_executors_and_jobs_are_waited_for_together(client: Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(int, "7"), client.submit("ada", api_name="/greet")]
        done = [future.result() for future in concurrent.futures.as_completed(futures, 60)]
    assert set(done) == {7, "Hello ada!"}
    slow = client.submit("x", api_name="/hang")
    done, waiting = concurrent.futures.wait(
        [*futures, slow], 60, concurrent.futures.FIRST_COMPLETED
    )
    assert (done, waiting) == ({*futures}, {slow})
    slow.cancel()
    assert concurrent.futures.wait([slow], 60).done == {slow}
