"""The public interface as users write it, for type checkers only: this file is never run.

`nox -s types` checks it with mypy and basedpyright, both strict.
"""

from __future__ import annotations

import concurrent.futures
import inspect
import io
import os
import queue
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import trio
from outcome import Outcome
from rich.console import Console
from typing_extensions import assert_type

import triojob
from triojob import (
    AppError,
    AuthenticationError,
    Client,
    ClientPool,
    ClientSession,
    ClientStatistics,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    Endpoint,
    EndpointMismatch,
    EndpointNotFound,
    File,
    FileInput,
    FileTooLarge,
    GroupClosed,
    GroupStatistics,
    InputStream,
    InputStreamClosed,
    Instrument,
    Job,
    JobCancelled,
    JobGroup,
    JobIterator,
    JobNotDone,
    JobTimeout,
    Limits,
    LogMessage,
    MissingDependency,
    NoReplicaAvailable,
    OutputIterator,
    OutputUpdate,
    PoolStatistics,
    ProgressUnit,
    PropertyUpdate,
    ProtocolError,
    QueueFull,
    RenderUpdate,
    ReplicaStatistics,
    ResultIterator,
    Retry,
    ServerRestarted,
    ServerStopped,
    SpaceError,
    SpaceStatus,
    Status,
    StatusUpdate,
    Timeouts,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    UpdateIterator,
    ValidationError,
    as_completed,
    duplicate,
    handle_file,
    live,
    report,
    sync,
)
from triojob.bulk import BatchCaller
from triojob.opentelemetry import OpenTelemetry
from triojob.testing import Call, GradioProcess, ScriptedApp, StartGradio, components, run_gradio

assert_type(triojob.__version__, str)


# --- What can run as a job ---


async def length(text: str, *, scale: int = 1) -> int:
    return len(text) * scale


async def letters(text: str) -> AsyncGenerator[str, None]:
    for letter in text:
        yield letter


async def numbers(upto: int) -> AsyncIterator[int]:
    for number in range(upto):
        yield number


class Model:
    async def generate(self, prompt: str) -> bytes:
        return prompt.encode()

    async def stream(self, prompt: str) -> AsyncIterator[bytes]:
        yield prompt.encode()


def blocking(text: str) -> float:
    return float(text)


async def submitting(group: JobGroup, client: Client) -> None:
    assert_type(group.submit(length, "text"), Job[int])
    assert_type(group.submit(length, "text", scale=2), Job[int])
    assert_type(group.submit(letters, "text"), Job[str])
    assert_type(group.submit(numbers, 3), Job[int])
    assert_type(group.submit(Model().generate, "prompt"), Job[bytes])
    assert_type(group.submit(Model().stream, prompt="prompt"), Job[bytes])
    assert_type(group.submit(client.endpoint("/greet"), "Ada", loud=True), Job[Any])
    assert_type(group.submit(trio.sleep, 1), Job[None])


# What a type checker must refuse.
async def refused(group: JobGroup) -> None:
    group.submit(length)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    group.submit(length, 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    group.submit(blocking, "1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    JobGroup(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# --- Fan-out ---


async def nothing() -> None:
    pass


async def number() -> int:
    return 1


async def word() -> AsyncGenerator[str, None]:
    yield ""


async def gathering(client: Client, job: Job[bytes]) -> None:
    greet = client.endpoint("/greet")
    assert_type(await triojob.gather(number), tuple[int])
    assert_type(await triojob.gather(number, word), tuple[int, str])
    assert_type(await triojob.gather(number, word, job), tuple[int, str, bytes])
    assert_type(
        await triojob.gather(number, partial(length, "text"), job, nothing, limit=2),
        tuple[int, int, bytes, None],
    )
    assert_type(await triojob.gather(partial(greet, "Ada"), greet, fail_fast=True), tuple[Any, Any])
    assert_type(
        await triojob.gather(number, number, number, number, word),
        tuple[int, int, int, int, str],
    )
    assert_type(
        await triojob.gather(number, word, number, word, number, word),
        tuple[int, str, int, str, int, str],
    )
    assert_type(await triojob.gather(*[number, number]), tuple[int, ...])
    assert_type(await triojob.gather(*[job, job], limit=None), tuple[bytes, ...])
    assert_type(await triojob.gather(number, number, return_jobs=True), tuple[Job[int], ...])


async def firsts(client: Client, job: Job[bytes]) -> None:
    greet = client.endpoint("/greet")
    assert_type(await triojob.first_success(number, partial(length, "text")), int)
    assert_type(await triojob.first_success(word, word), str)
    assert_type(await triojob.first_success(job), bytes)
    assert_type(await triojob.first_success(greet, partial(greet, "Ada")), Any)
    assert_type(await triojob.first_completed(number, number), Job[int])
    assert_type(await triojob.first_completed(job, job), Job[bytes])


async def completing(jobs: list[Job[int]]) -> None:
    iterator = as_completed(jobs)
    assert_type(iterator, JobIterator[int])
    async for job in iterator:
        assert_type(job, Job[int])
    async for job in as_completed(job for job in jobs):
        assert_type(await job.result(), int)


async def durable(client: Client, words: AsyncIterator[str]) -> None:
    async with triojob.durable_map(length, words, store="a.jsonl", key=len, rate=2) as outcomes:
        assert_type(outcomes, triojob.DurableResults)
        assert_type(outcomes.group, JobGroup)
        async for outcome in outcomes:
            assert_type(outcome, triojob.RowOutcome)
            assert_type(outcome.error_message, str | None)
    rows = [{"name": "Ada", "id": 1}]
    triojob.durable_map(letters, "abc", store=Path("a.sqlite"), retry=None, timeout=5)
    triojob.durable_map(
        client.endpoint("/greet"), rows, store="a.parquet", key="id", keywords=True, ordered=False
    )


async def mapping(client: Client, words: AsyncIterator[str]) -> None:
    assert_type(triojob.map(length, ["a"]), ResultIterator[int])
    triojob.map(length, ["a"], retry=Retry(), instruments=[Watcher()])
    async with triojob.map(length, words, limit=3, ordered=False, rate=0.5) as results:
        assert_type(results.group, JobGroup)
        async for result in results:
            assert_type(result, int)
    async with triojob.map(length, ["a"], return_jobs=True) as pairs:
        async for text, job in pairs:
            assert_type(text, str)
            assert_type(job, Job[int])
    async with triojob.map(letters, "abc", fail_fast=False) as texts:
        assert_type(await texts.__anext__(), str)
    async with triojob.map(client.endpoint("/greet"), ["Ada"], limit=3) as replies:
        assert_type(await replies.__anext__(), Any)
    async with triojob.map(client.endpoint("/greet"), ["Ada"], return_jobs=True) as replied:
        assert_type(await replied.__anext__(), tuple[str, Job[Any]])
    async with triojob.map(partial(length, scale=2), ["a"]) as lengths:
        assert_type(await lengths.__anext__(), int)

    async def two(a: int, b: str) -> bytes:
        return b.encode() * a

    async def three(a: int, b: str, c: float) -> bytes:
        return b.encode() * a * round(c)

    assert_type(triojob.map(two, [1], words), ResultIterator[bytes])
    assert_type(
        triojob.map(two, [1], ["a"], return_jobs=True),
        ResultIterator[tuple[tuple[int, str], Job[bytes]]],
    )
    assert_type(triojob.map(three, [1], ["a"], [2.5]), ResultIterator[bytes])
    assert_type(
        triojob.map(three, [1], ["a"], [2.5], return_jobs=True),
        ResultIterator[tuple[tuple[Any, ...], Job[bytes]]],
    )


# What a type checker must refuse.
async def refused_fan_out() -> None:
    await triojob.gather(number())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await triojob.first_success(blocking)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    as_completed([number])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    triojob.map(blocking, ["1"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    triojob.map(length, [1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    triojob.map(length, ["1"], return_jobs=True, fail_fast=True)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    triojob.map(length, ["1"], rates=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    triojob.map(length, ["1"], limit="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await triojob.gather(number, limits=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


# --- The job ---


async def waiting(job: Job[int]) -> None:
    assert_type(await job.result(), int)
    assert_type(await job.result(timeout=1.5), int)
    assert_type(await job.result(None), int)
    assert_type(await job.wait(), None)
    assert_type(job.done, bool)
    assert_type(job.cancelled, bool)
    assert_type(job.outcome, Outcome[int] | None)
    assert_type(job.exception(), BaseException | None)
    assert_type(job.name, str)
    assert_type(job.id, int)
    assert_type(job.url, str | None)
    assert_type(job.dropped, int)
    assert_type(job.cancel(), None)
    assert_type(job.cancel("not needed any more"), None)
    assert_type(job.cancel(reason=None), None)


def covariant(job: Job[bool]) -> Job[int]:
    return job


async def reading(job: Job[str]) -> None:
    assert_type(job.outputs(), list[str])
    assert_type(aiter(job), OutputIterator[str])
    async for output in job:
        assert_type(output, str)
    updates = job.updates()
    assert_type(updates, UpdateIterator)
    assert_type(updates.dropped, int)
    async for update in updates:
        assert_type(update, StatusUpdate | OutputUpdate | LogMessage | RenderUpdate)
        if isinstance(update, StatusUpdate):
            assert_type(update.code, Status)
        elif isinstance(update, OutputUpdate):
            assert_type(update.output, Any)
            assert_type(update.index, int)
        elif isinstance(update, RenderUpdate):
            assert_type(update.config, dict[str, Any])
        else:
            assert_type(update.text, str)
            assert_type(update.level, str)


def status(job: Job[str]) -> None:
    snapshot = job.status()
    assert_type(snapshot, StatusUpdate)
    assert_type(snapshot.code < Status.FINISHED, bool)
    assert_type(snapshot.rank, int | None)
    assert_type(snapshot.queue_size, int | None)
    assert_type(snapshot.success, bool | None)
    assert_type(snapshot.eta, float | None)
    assert_type(snapshot.progress_data, list[ProgressUnit] | None)
    assert_type(snapshot.log, LogMessage | None)
    for unit in snapshot.progress_data or []:
        assert_type(unit.index, float | None)
        assert_type(unit.length, float | None)
        assert_type(unit.unit, str | None)
        assert_type(unit.progress, float | None)
        assert_type(unit.desc, str | None)


def listening(job: Job[int]) -> None:
    codes: list[Status] = []

    def on_status(update: StatusUpdate) -> None:
        codes.append(update.code)

    def on_result(ended: Job[int]) -> str:
        return repr(ended)

    outputs: list[Any] = []
    job.on_status(on_status)
    job.on_output(outputs.append)
    job.on_result(on_result)
    job.on_result(repr)


# --- The group ---


async def grouping() -> None:
    async with JobGroup() as group:
        assert_type(group, JobGroup)
        assert_type(group.jobs, tuple[Job[Any], ...])
        assert_type(group.cancel_scope, trio.CancelScope)
        assert_type(group.limit, float | None)
        assert_type(group.history, int | None)
        assert_type(group.fail_fast, bool)
        assert_type(group.closed, bool)
    async with JobGroup(limit=4, fail_fast=True, history=10):
        pass
    async with JobGroup(limit=None, history=None) as group:
        pass


# --- Gradio ---


async def calling(context: ssl.SSLContext, transport: httpx.AsyncBaseTransport) -> None:
    async with Client("http://127.0.0.1:7860") as client:
        assert_type(client, Client)
        assert_type(client.src, str)
        assert_type(client.version, str)
        assert_type(client.protocol, str)
        assert_type(client.limits.streams, int | None)
        assert_type(client.jobs, tuple[Job[Any], ...])
        assert_type(client.cancel_scope, trio.CancelScope)
        assert_type(client.view_api(), str)
        assert_type(client.stubs("App", all_endpoints=True, files="handle"), str)
        assert_type(client.view_api(all_endpoints=True), str)

        assert_type(await client.predict("Ada", api_name="/greet"), Any)
        assert_type(client.submit("Ada", 3, api_name="/greet", loud=True), Job[Any])
        assert_type(client.submit("Ada", fn_index=3), Job[Any])

        greet = client.endpoint("/greet")
        assert_type(greet, Endpoint)
        assert_type(await greet("Ada", loud=True), Any)
        assert_type(greet.name, str)
        assert_type(greet.api_name, str | None)
        assert_type(greet.fn_index, int)
        assert_type(inspect.signature(greet), inspect.Signature)
        assert_type(greet.with_event_data({"index": 0}), Endpoint)
        assert_type(greet.with_event_data([1], trigger_id=3), Endpoint)
        assert_type(greet.with_headers({"accept-language": "fr"}), Endpoint)
        assert_type(greet.with_retry(Retry(attempts=None, idempotent=True)), Endpoint)
        async with greet.stream_inputs("Ada", loud=True) as stream:
            assert_type(stream, InputStream)
            assert_type(stream.job, Job[Any])
            assert_type(await stream.send("Grace", loud=False), None)
            assert_type(await stream.send_eof(), None)
            assert_type(aiter(stream), OutputIterator[Any])
            async for output in stream:
                assert_type(output, Any)
        assert_type(client.endpoint(), Endpoint)
        assert_type(client.endpoint(fn_index=0), Endpoint)

        async with client.session() as session:
            assert_type(session, ClientSession)
            assert_type(session.endpoint("/greet"), Endpoint)
            assert_type(await session.predict(api_name="/bump"), Any)
            assert_type(session.submit(api_name="/bump"), Job[Any])
            assert_type(session.jobs, tuple[Job[Any], ...])
        async with client.session(limit=2, history=0):
            pass

    Client(
        "https://apps.example/one",
        auth=("user", "password"),
        headers={"x-header": "value"},
        cookies={"cookie": "value"},
        verify=context,
        timeouts=Timeouts(connect=5, write=None, read=30.5, stream_idle=None, cancel=1),
        limits=Limits(streams=10, message_size=2**20),
        validate=False,
        limit=4,
        history=10,
        transport=transport,
    )
    Client(
        "owner/name",
        token="hf_1",
        oauth_token="hf_2",
        hf_endpoint="http://hub",
        on_wait=waiting_for_space,
    )
    Client("owner/name", token=True, on_wait=print)
    async with httpx.AsyncClient() as http_client, Client("http://app", http_client=http_client):
        pass


# --- Files ---


async def files(client: Client, path: os.PathLike[str], file: File) -> None:
    assert_type(handle_file(path), FileInput)
    assert_type(handle_file("photo.png"), FileInput)
    assert_type(handle_file("https://pictures.example/photo.png"), FileInput)
    assert_type(handle_file(b"png", name="photo.png", mime_type="image/png"), FileInput)
    assert_type(handle_file(io.BytesIO(b"png"), "photo.png").name, str)
    with open("photo.png", "rb") as photo:  # noqa: ASYNC230, PTH123 - never run
        marked = handle_file(photo)
    assert_type(marked.mime_type, str | None)
    assert_type(marked.path, str | None)
    assert_type(marked.url, str | None)
    assert_type(await client.predict(marked, {"files": [marked]}, api_name="/see"), Any)

    assert_type(file.name, str)
    assert_type(file.size, int | None)
    assert_type(file.mime_type, str | None)
    assert_type(file.path, str)
    assert_type(file.url, str)
    assert_type(file.is_stream, bool)
    assert_type(await file.save(path), Path)
    assert_type(await file.save("folder"), Path)
    async with file.open() as stream:
        assert_type(stream, trio.abc.ReceiveStream)
        async for chunk in stream:
            assert_type(chunk, bytes | bytearray)
    async for part in file.segments():
        assert_type(part, bytes)
    Client(
        "http://app",
        download_files=False,
        limits=Limits(download_size=None, transfers=2, requests=9),
    )
    Client("http://app", download_files=path, limits=Limits(download_size=2**20))
    Client("http://app", download_files="folder")


def waiting_for_space(status: SpaceStatus) -> None:
    assert_type(status.space, str)
    assert_type(status.stage, str)
    assert_type(status.ready, bool)
    assert_type(status.waited, float)
    assert_type(status.next_look, float | None)


async def copying() -> None:
    assert_type(await duplicate("owner/name", token=True), str)
    await duplicate(
        "owner/name",
        "me/copy",
        token="hf_1",
        private=False,
        hardware="t4-small",
        sleep_timeout=300,
        secrets={"KEY": "value"},
        variables={"KEY": "value"},
        exist_ok=True,
        hf_endpoint="http://hub",
    )
    await duplicate("owner/name")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def changed_properties(update: PropertyUpdate) -> dict[str, Any]:
    assert_type(update["label"], Any)
    assert_type(len(update), int)
    return dict(update)


# --- Reporting ---


async def reporting() -> str:
    assert_type(report.progress(0.5), None)
    report.progress(0.5, "half")
    report.progress(3, total=10, unit="pages", desc="reading")
    report.progress((3, 10))
    report.progress((3, None))
    report.progress(ProgressUnit(index=1, length=2))
    report.progress([ProgressUnit(desc="outer"), ProgressUnit(desc="inner")])
    report.status(Status.IN_QUEUE, rank=3, queue_size=10, eta=2.5)
    report.output({"anything": [1, 2]})
    report.log("a line")
    report.log("a line", level="warning")
    return "done"


# --- Seeing inside ---


class Watcher(Instrument):
    def job_sending(self, job: Job[Any], headers: dict[str, str]) -> None:
        headers["x-job"] = f"{job.id}"

    def job_output(self, job: Job[Any], index: int) -> None:
        assert_type(job.id + index, int)

    def job_ended(self, job: Job[Any]) -> None:
        assert_type(self.failure_of(job), BaseException | None)


async def watching(client: Client) -> None:
    async with JobGroup(instruments=[Watcher()], retry=Retry()) as group:
        assert_type(group.statistics(), GroupStatistics)
        assert_type(group.statistics().unretrieved, int)
        assert_type(client.statistics(), ClientStatistics)
        assert_type(client.statistics().jobs, GroupStatistics)
        assert_type(group.statistics().ranks, Mapping[int, int])
        assert_type(group.statistics().oldest_seconds, float | None)
    async with JobGroup(instruments=[OpenTelemetry(), OpenTelemetry(propagate=True)]):
        pass
    Client("http://app", instruments=[OpenTelemetry(log_text=True), Watcher()])
    titles: dict[Job[str], str] = {}
    async with live(group, client, total=10, title=titles.get, console=Console()) as nothing:
        assert_type(nothing, None)


# --- Several replicas ---


async def pooling(auth: tuple[str, str]) -> None:
    async with ClientPool(["http://one", "http://two"]) as pool, JobGroup() as group:
        assert_type(pool, ClientPool)
        assert_type(pool.sources, tuple[str, ...])
        assert_type(pool.closed, bool)
        assert_type(pool.jobs, tuple[Job[Any], ...])
        assert_type(await pool.predict("Ada", api_name="/greet"), Any)
        assert_type(pool.submit("Ada", api_name="/greet"), Job[Any])
        assert_type(pool.endpoint("/greet", via="queue"), Endpoint)
        assert_type(group.submit(pool.endpoint("/greet"), "Ada"), Job[Any])
        assert_type(await pool.add("http://three"), None)
        assert_type(await pool.remove("http://three"), None)
        async with pool.session(limit=2, history=0) as session:
            assert_type(session, ClientSession)
        statistics = pool.statistics()
        assert_type(statistics, PoolStatistics)
        assert_type(statistics.failovers, int)
        assert_type(statistics.jobs, GroupStatistics)
        for replica in statistics.replicas:
            assert_type(replica, ReplicaStatistics)
            assert_type(replica.source, str)
            assert_type(replica.open, bool)
            assert_type(replica.sent + replica.in_flight, int)
            assert_type(replica.queued + replica.cooldown, float)
            assert_type(replica.failure, TriojobError | None)
    ClientPool(
        iter(["http://one"]),
        lambda url: Client(url, auth=auth),
        require_all=True,
        limit=4,
        history=10,
    )


# --- The bridge ---


def in_a_script() -> None:
    with (
        sync.start_portal() as portal,
        sync.Client("http://127.0.0.1:7860", portal=portal) as client,
    ):
        assert_type(portal, sync.Portal)
        assert_type(client.src, str)
        assert_type(client.session_hash, str)
        assert_type(client.predict(sync.handle_file("a.png"), api_name="/size"), Any)
        job = client.submit(1, fn_index=0, headers={"a": "b"}, result_callbacks=[print])
        assert_type(job, sync.Job)
        future: concurrent.futures.Future[Any] = job
        concurrent.futures.wait([future])
        assert_type(job.outputs(), list[Any])
        assert_type(job.status(), sync.StatusUpdate)
        assert_type(job.status().code, Status)
        assert_type(job.status().log, tuple[str, str] | None)
        assert_type(job.cancel(), bool)
        assert_type(job.exception(timeout=1), BaseException | None)
        for output in job:
            assert_type(output, Any)


async def in_asyncio(job: sync.Job) -> None:
    async for update in job:
        assert_type(update, sync.StatusUpdate | sync.OutputUpdate)


async def in_trio(group: JobGroup) -> None:
    def in_a_thread() -> Any:
        return sync.submit(group, trio.sleep, 0).result()

    async with sync.open_portal() as portal:
        assert_type(portal.closed, bool)
        assert_type(await trio.to_thread.run_sync(in_a_thread), Any)


def in_bulk(batches: list[dict[str, list[str]]]) -> None:
    caller = BatchCaller(
        "http://127.0.0.1:7860",
        "/greet",
        inputs={"name": "person"},
        fixed_arguments={"loud": True},
        files=["portrait"],
        output=["greeting", "length"],
        error_column="why_not",
        on_error="raise",
        transform=str,
        key="id",
        skip_completed=True,
        limit=8,
        retry=Retry(attempts=3),
        timeout=60,
        client_options={"auth": ("user", "password")},
    )
    assert_type(caller(batches[0]), dict[str, list[str]])
    assert_type(caller.in_pandas(batches), Iterator[dict[str, list[str]]])
    caller.close()
    BatchCaller("http://127.0.0.1:7860", retry=None)


# --- Failures ---


async def failing(job: Job[int]) -> int:
    try:
        return await job.result(timeout=1)
    except AppError as exc:
        assert_type(exc.message, str | None)
        assert_type(exc.title, str | None)
        assert_type(exc.duration, float | None)
        assert_type(exc.visible, bool)
        assert_type(exc.endpoint, str)
    except JobCancelled as exc:
        assert_type(exc.reason, str | None)
    except JobTimeout:
        pass
    except EndpointNotFound as exc:
        assert_type(exc.available, tuple[str, ...])
        assert_type(exc.nearest, str | None)
    except EndpointMismatch:
        pass
    except NoReplicaAvailable as exc:
        assert_type(exc.failures, dict[str, TriojobError])
    except ValidationError as exc:
        assert_type(exc.errors, dict[str, str])
        assert_type(exc.endpoint, str)
    except SpaceError as exc:
        assert_type(exc.space, str)
        assert_type(exc.stage, str | None)
    except TooManyRequests as exc:
        assert_type(exc.retry_after, float | None)
    except UnexpectedResponse as exc:
        assert_type(exc.status, int)
    except TriojobError:
        pass
    return 0


async def testing(start: StartGradio) -> None:
    app = ScriptedApp(auth=("ada", "secret"), concurrency_limit=None, max_queue_size=4)
    count = components.state(0)

    @app.endpoint("/bump", parameters={"count": count}, returns=[count, components.number("n")])
    def bump(count: int) -> tuple[int, int]:
        return count + 1, count + 1

    assert_type(bump(1), tuple[int, int])
    async with app.client(auth=("ada", "secret"), timeouts=Timeouts()) as client:
        assert_type(client, Client)
        app.refuse(429, times=2, retry_after=1.5)
        app.drop_connections()
        app.stop()
        app.kill()
        app.restart()
        await app.wait_running("/bump", 2, seconds=3)
        await app.wait_all_cancelled()
    async with app as running, Client(app.url, transport=app.transport()):
        assert_type(running, ScriptedApp)
    async with app.serve() as url:
        assert_type(url, str)
    assert_type(app.assert_called_with("/bump", n=1), Call)
    app.assert_called("/bump", times=2)
    app.assert_cancelled("/bump")
    app.assert_no_jobs_left()
    assert_type(app.calls, list[Call])
    assert_type(app.cancellations, list[Call])
    assert_type(app.sessions, int)
    assert_type(app.calls_of("/bump")[0].arguments, dict[str, Any])
    assert_type(start("my_app.py", env={}), GradioProcess)
    with run_gradio(Path("my_app.py"), seconds=60) as process:
        assert_type(process.url, str)
        assert_type(process.output, str)


BUILT_IN: list[tuple[type[TriojobError], type[Exception]]] = [
    (AppError, RuntimeError),
    (JobCancelled, concurrent.futures.CancelledError),
    (JobTimeout, TimeoutError),
    (JobTimeout, trio.TooSlowError),
    (JobNotDone, concurrent.futures.InvalidStateError),
    (GroupClosed, RuntimeError),
    (MissingDependency, ImportError),
    (InputStreamClosed, trio.BrokenResourceError),
    (EndpointNotFound, LookupError),
    (ValidationError, ValueError),
    (AuthenticationError, PermissionError),
    (FileTooLarge, ValueError),
    (SpaceError, RuntimeError),
    (QueueFull, queue.Full),
    (TooManyRequests, RuntimeError),
    (ProtocolError, ValueError),
    (ConnectionLost, ConnectionError),
    (ConnectionFailed, ConnectionLost),
    (ConnectionTimeout, TimeoutError),
    (ServerRestarted, ConnectionLost),
    (ServerStopped, ConnectionLost),
]
