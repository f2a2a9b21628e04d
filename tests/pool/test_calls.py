"""Calls over a pool: who gets them, and the surface that is a client's."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.pool.support import FULL, JOIN, Replicas, replicas
from tests.servers.scripted import Event, GradioError
from tests.support.stubs import loaded
from triojob import (
    AppError,
    ClientClosed,
    ClientPool,
    Endpoint,
    EndpointMismatch,
    EndpointNotFound,
    JobCancelled,
    JobGroup,
    handle_file,
)
from triojob.testing.components import file, state

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

ESTIMATION = {"msg": "estimation", "rank": 0, "queue_size": 40, "rank_eta": None}


@pytest.fixture
async def three() -> AsyncIterator[Replicas]:
    async with replicas(3) as found:
        yield found


async def test_calls_take_turns(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        echo = pool.endpoint("/echo")
        assert [await echo(str(number)) for number in range(6)] == list("012345")
    assert three.counts == [2, 2, 2]


async def test_many_at_once_are_spread(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, JobGroup() as group:
        slow = pool.endpoint("/slow")
        for _ in range(30):
            group.submit(slow, "5")
        await wait_all_tasks_blocked()
        assert [one.in_flight for one in pool.statistics().replicas] == [10, 10, 10]
    assert three.counts == [10, 10, 10]
    assert [one.sent for one in pool.statistics().replicas] == [10, 10, 10]


async def test_one_that_takes_longer_gets_fewer(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool, JobGroup(limit=6) as group:
        # The first call of each decides: one replica is held up for long.
        jobs = [group.submit(pool.endpoint("/slow"), "100")]
        jobs += [group.submit(pool.endpoint("/slow"), "1") for _ in range(60)]
        for job in jobs[1:]:
            await job.result()
        (busy,) = [url for url in three.urls if "100" in three.seen[url]]
        few, *many = sorted(three.counts)
        assert few == len(three.seen[busy])
        assert few < 15
        assert min(many) > 22


async def test_queue_of_others_is_taken_into_account(autojump_clock, three):
    async def crowded(event: Event) -> None:
        await event.send({**ESTIMATION, "event_id": event.event_id})
        await event.starts()
        three.seen[three.urls[0]].append(event.data[0])
        await event.completed(event.data)

    three[0].app.endpoints[0].script = crowded
    three[0].app.endpoints[0].manual = True
    async with three.pool() as pool:
        echo = pool.endpoint("/echo")
        for number in range(9):
            await echo(str(number))
        assert three.counts == [1, 4, 4]
        assert 30 < pool.statistics().replicas[0].queued <= 40
        await trio.sleep(300)  # what it said is old by now
        for number in range(9):
            await echo(str(number))
    assert three.counts[0] > 1


async def test_it_has_the_surface_of_a_client(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        assert pool.sources == tuple(three.urls)
        assert await pool.predict("a", api_name="/echo") == "a"
        job = pool.submit("b", api_name="/echo")
        assert await job.result() == "b"
        slow = pool.submit("1", api_name="/slow")
        assert pool.jobs == (slow,)
        echo = pool.endpoint("/echo")
        assert isinstance(echo, Endpoint)
        assert (echo.name, echo.api_name, echo.via) == ("/echo", "/echo", "queue")
        assert list(inspect.signature(echo).parameters) == ["text"]
        assert await echo.with_headers({"x-a": "b"}).with_event_data(1)("c") == "c"
        assert repr(pool) == "<ClientPool of 3: 3 open, 1 jobs>"
    assert repr(pool) == "<ClientPool of 3: closed>"
    assert pool.closed


async def test_headers_go_to_whichever_replica_it_is(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        echo = pool.endpoint("/echo").with_headers({"x-who": "ada"})
        for number in range(3):
            await echo(str(number))
    for server in three.servers:
        joins = [r for r in server.requests if r.path.endswith("/queue/join")]
        assert [request.headers.get("x-who") for request in joins] == ["ada"]


async def test_wrong_arguments_are_refused_at_submit(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        with pytest.raises(TypeError, match="txt"):
            pool.submit(txt="a", api_name="/echo")
        with pytest.raises(EndpointNotFound, match="'/nothing'"):
            pool.endpoint("/nothing")
    assert three.counts == [0, 0, 0]


async def test_what_app_raises_goes_to_no_other(autojump_clock: MockClock, three: Replicas):
    runs: list[int] = []

    async def fail(event: Event) -> None:
        runs.append(1)
        raise GradioError("boom")

    for server in three.servers:
        server.app.endpoint()(fail)
    async with three.pool() as pool:
        with pytest.raises(AppError, match="boom"):
            await pool.predict(api_name="/fail")
        assert pool.statistics().failovers == 0
    assert len(runs) == 1


async def test_outputs_come_as_they_do_from_one(autojump_clock: MockClock, three: Replicas):
    async def count(event: Event) -> None:
        for number in range(3):
            await event.generating([str(number)])
        await event.completed(["2"])

    for server in three.servers:
        server.app.endpoint(generator=True)(count)
    async with three.pool() as pool:
        job = pool.submit(api_name="/count")
        assert [output async for output in job] == ["0", "1", "2"]


async def test_files_go_to_replica_of_call(autojump_clock: MockClock, three: Replicas):
    async def size(event: Event) -> None:
        await event.completed([event.data[0]["orig_name"]])

    for server in three.servers:
        server.app.endpoint(inputs=[file("file")])(size)
    async with three.pool() as pool:
        for _ in range(2):
            marked = handle_file(b"words", name="a.txt")
            assert await pool.predict(marked, api_name="/size") == "a.txt"
    uploads = [sum(p.endswith("/upload") for p in server.paths()) for server in three.servers]
    joins = [len(server.joins) for server in three.servers]
    assert uploads == joins == [1, 1, 0]


async def test_files_are_uploaded_to_next_replica_too(autojump_clock, three):
    async def size(event: Event) -> None:
        await event.completed([event.data[0]["path"]])

    for server in three.servers:
        server.app.endpoint(inputs=[file("file")], outputs=["text"])(size)
    three[0].fault(*JOIN, FULL)
    async with three.pool() as pool:
        path = await pool.predict(handle_file(b"words", name="a.txt"), api_name="/size")
    uploads = [sum(p.endswith("/upload") for p in server.paths()) for server in three.servers]
    assert uploads == [1, 1, 0]
    assert path.endswith("a.txt")


async def test_unretrieved_failure_of_pool_is_raised(autojump_clock, three):
    async def fail(event: Event) -> None:
        raise GradioError("boom")

    for server in three.servers:
        server.app.endpoint()(fail)
    with pytest.raises(ExceptionGroup) as caught:
        async with three.pool() as pool:
            pool.submit(api_name="/fail")
    (error,) = caught.value.exceptions
    assert isinstance(error, AppError)


async def test_an_endpoint_with_state_needs_a_session(autojump_clock: MockClock, three: Replicas):
    async def bump(event: Event) -> None:
        await event.completed([event.data[0] + 1, event.data[0] + 1])

    for server in three.servers:
        kept = state(0)
        server.app.endpoint(inputs=[kept], outputs=[kept, "text"])(bump)
    async with three.pool() as pool:
        with pytest.raises(ValueError, match=r"/bump keeps State.*pool\.session"):
            pool.endpoint("/bump")
        async with pool.session() as first, pool.session() as second:
            found = [await first.predict(api_name="/bump") for _ in range(3)]
            found += [await second.predict(api_name="/bump") for _ in range(2)]
        assert found == [1, 2, 3, 1, 2]
    assert [len(server.joins) for server in three.servers] == [3, 2, 0]


async def test_a_typed_module_takes_a_pool(autojump_clock: MockClock, three: Replicas):
    async with three.client(three.urls[0]) as client:
        text = client.stubs()
    with loaded(text) as module:
        async with three.pool() as pool, JobGroup() as group:
            app = module.App(pool)
            assert await app.echo("a") == "a"
            job = group.submit(app.echo, text="b")
            assert await job.result() == "b"
    assert three.counts == [1, 1, 0]


async def test_replicas_that_disagree_are_refused(autojump_clock: MockClock, three: Replicas):
    three[1].app.endpoints.clear()
    three[1].app.endpoint(name="echo", inputs=["other"], parameter_names=("other",))(
        three[0].app.endpoints[0].script
    )
    async with three.pool() as pool:
        with pytest.raises(
            EndpointMismatch, match=r"/echo at http://r1\.test/ has other parameters"
        ):
            pool.endpoint("/echo")
        with pytest.raises(EndpointMismatch, match=r"/slow is missing at http://r1\.test/"):
            pool.endpoint("/slow")


async def test_pool_is_entered_once(autojump_clock, three):
    pool = three.pool()
    with pytest.raises(ClientClosed, match="enter the pool first"):
        pool.endpoint("/echo")
    async with pool:
        echo = pool.endpoint("/echo")
        with pytest.raises(ClientClosed, match="only once"):
            await pool.__aenter__()
    with pytest.raises(ClientClosed):
        await echo("a")
    with pytest.raises(ClientClosed, match="has been closed"):
        pool.submit("a", api_name="/echo")
    with pytest.raises(ValueError, match="each only once"):
        ClientPool(["http://a", "http://a"])
    with pytest.raises(ValueError, match="each only once"):
        ClientPool([])


async def test_bodys_exception_ends_jobs_and_is_bare(autojump_clock, three):
    start = trio.current_time()
    with pytest.raises(KeyError):
        async with three.pool() as pool:
            job = pool.submit("1000", api_name="/slow")
            await wait_all_tasks_blocked()
            raise KeyError
    assert job.cancelled
    assert trio.current_time() - start < 100


async def test_jobs_in_groups_around_end_with_pool(autojump_clock: MockClock, three: Replicas):
    start = trio.current_time()
    async with JobGroup() as group:
        async with three.pool() as pool:
            job = group.submit(pool.endpoint("/slow"), "1000")
            await wait_all_tasks_blocked()
        await job.wait()
        with pytest.raises(JobCancelled):
            await job.result()
    assert trio.current_time() - start < 100


async def test_cancelling_job_stops_it_on_its_replica(autojump_clock: MockClock, three: Replicas):
    async with three.pool() as pool:
        job = pool.submit("1000", api_name="/slow")
        await trio.sleep(1)
        assert len(three[0].running) == 1
        job.cancel()
        await three[0].settled()
    assert job.cancelled
