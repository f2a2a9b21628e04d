"""The instrument for OpenTelemetry, with its real SDK and exporters in memory."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trio.testing import wait_all_tasks_blocked

from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError, ScriptedServer
from tests.support.hanging import SECONDS
from tests.support.jobs import BaseExceptionGroup, Boom, Wordless, count, fail, sleep
from triojob import AppError, Client, ClientClosed, Job, JobGroup, Retry, report
from triojob.opentelemetry import OpenTelemetry


class Telemetry:
    """Keeps what is traced and measured."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider(metric_readers=[self._reader])
        self.tracer = self.tracers.get_tracer("test")

    def instrument(self, **options: Any) -> OpenTelemetry:
        return OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in the order of their starts."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def of(self, job: Job[Any]) -> ReadableSpan:
        (span,) = [s for s in self.spans if attributes(s).get("triojob.job.id") == job.id]
        return span

    def measured(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the value, or the sum of a histogram, and the attributes of each series."""
        data = self._reader.get_metrics_data()
        return [
            (getattr(point, "sum", None) or point.value, dict(point.attributes))
            for resource in ([] if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def events(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def own_id(span: ReadableSpan | trace.Span) -> int:
    found = span.context if isinstance(span, ReadableSpan) else span.get_span_context()
    assert found is not None
    return found.span_id


async def test_job_is_child_of_submitters_span(autojump_clock, telemetry):
    async def submitter(group: JobGroup, name: str) -> tuple[int, list[Job[Any]]]:
        with telemetry.tracer.start_as_current_span(name) as span:
            jobs = []
            for seconds in (1, 2, 3):
                jobs.append(group.submit(sleep, seconds))
                await trio.sleep(0.4)
            return own_id(span), jobs

    async with JobGroup(instruments=[telemetry.instrument()], limit=2) as group:
        submitters = [group.submit(submitter, group, name) for name in ("a", "b")]
        # These two hold the limit until all is submitted, so the jobs start in other tasks' turns.
        results = [await job.result() for job in submitters]
        alone = group.submit(sleep, 1)
    for number, (span_id, jobs) in enumerate(results):
        outer = next(span for span in telemetry.spans if own_id(span) == span_id)
        assert parent(outer) == own_id(telemetry.of(submitters[number]))
        assert [parent(telemetry.of(job)) for job in jobs] == [span_id] * 3
    assert parent(telemetry.of(alone)) is None


async def test_spans_of_jobs_nest_below_them(autojump_clock, telemetry):
    async def inner(number: int) -> None:
        with telemetry.tracer.start_as_current_span(f"inner {number}"):
            await trio.sleep(1)

    async def traces(number: int) -> None:
        await trio.sleep(number % 3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inner, number)
        await trio.sleep(number % 2)
        with telemetry.tracer.start_as_current_span(f"later {number}"):
            pass

    async with JobGroup(instruments=[telemetry.instrument()], limit=5) as group:
        jobs = [group.submit(traces, number) for number in range(20)]
        before = trace.get_current_span()
    assert trace.get_current_span() is before, "the submitter's own context is as it was"
    for number, job in enumerate(jobs):
        below = [s.name for s in telemetry.spans if parent(s) == own_id(telemetry.of(job))]
        assert below == [f"inner {number}", f"later {number}"]


async def test_ends_are_recorded_without_retrieving_failures(autojump_clock, telemetry):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup(instruments=[telemetry.instrument()]) as group:
            well = group.submit(sleep, 2)
            failed = group.submit(fail, "the words")
            stopped = group.submit(trio.sleep_forever)
            await wait_all_tasks_blocked()
            stopped.cancel("enough")
            await failed.wait()
            assert group.statistics().unretrieved == 1
    assert [type(error) for error in caught.value.exceptions] == [Boom]

    span = telemetry.of(well)
    assert (span.name, span.kind) == (well.name, trace.SpanKind.INTERNAL)
    assert span.status.status_code is trace.StatusCode.UNSET
    assert attributes(span) == {
        "code.function.name": well.name,
        "triojob.job.id": well.id,
        "triojob.job.end": "succeeded",
        "triojob.job.outputs": 1,
    }

    span = telemetry.of(failed)
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "the words"
    assert attributes(span)["triojob.job.end"] == "failed"
    assert attributes(span)["error.type"] == "tests.support.jobs.Boom"
    assert events(span)[-1] == "exception"

    span = telemetry.of(stopped)
    assert span.status.status_code is trace.StatusCode.UNSET
    assert attributes(span)["triojob.job.end"] == "cancelled"
    assert attributes(span)["triojob.job.cancel_reason"] == "enough"
    assert "error.type" not in attributes(span)


async def test_failure_without_words_is_recorded(autojump_clock, telemetry):
    async def call() -> None:
        await trio.sleep(1)
        raise Wordless

    async with JobGroup(instruments=[telemetry.instrument()]) as group:
        job = group.submit(call)
        await job.wait()
        with pytest.raises(Wordless):
            await job.result()
    span = telemetry.of(job)
    assert span.status.description == "<its text raised RuntimeError>"
    assert events(span)[-1] == "exception"
    assert attributes(span)["triojob.job.end"] == "failed"


async def test_job_that_never_started_has_span_too(autojump_clock, telemetry):
    async with JobGroup(instruments=[telemetry.instrument()], limit=1) as group:
        group.submit(sleep, 1)
        never = group.submit(sleep, 1)
        never.cancel()
    assert events(telemetry.of(never)) == []
    assert attributes(telemetry.of(never))["triojob.job.end"] == "cancelled"


async def test_events_leave_out_message_contents(autojump_clock, telemetry):
    async def talks() -> None:
        for share in (0.1, 0.5):
            report.progress(share)
        report.log("private", "warning")
        for output in ("one", "two"):
            report.output(output)

    async with JobGroup(instruments=[telemetry.instrument()]) as group:
        silent = group.submit(talks)
    async with JobGroup(instruments=[telemetry.instrument(log_text=True)]) as group:
        open_hearted = group.submit(talks)
    told = [(event.name, dict(event.attributes or {})) for event in telemetry.of(silent).events]
    assert told == [
        ("started", {}),
        ("status", {"triojob.status": "PROCESSING"}),
        ("status", {"triojob.status": "PROGRESS"}),
        ("log", {"triojob.log.level": "warning"}),
        ("status", {"triojob.status": "ITERATING"}),
        ("output", {"triojob.output.index": 0}),
        ("output", {"triojob.output.index": 1}),
    ]
    (log,) = [event for event in telemetry.of(open_hearted).events if event.name == "log"]
    assert dict(log.attributes or {})["triojob.log.text"] == "private"


async def test_a_long_stream_keeps_its_first_events(autojump_clock, telemetry):
    async with JobGroup(instruments=[telemetry.instrument()], history=1) as group:
        job = group.submit(count, 1000)
    span = telemetry.of(job)
    assert events(span)[:2] == ["started", "status"]
    assert events(span).count("output") == 100
    assert span.dropped_events == 0
    assert attributes(span)["triojob.job.outputs"] == 1000


async def test_waiting_and_taking_are_measured_in_seconds(autojump_clock, telemetry):
    async with JobGroup(instruments=[telemetry.instrument()], limit=1) as group:
        jobs = [group.submit(sleep, seconds) for seconds in (1, 2)]
        failing = group.submit(fail)
        await failing.wait()
        assert isinstance(failing.exception(), Boom)
    name = jobs[0].name
    assert (1 + 3, {"code.function.name": name, "triojob.job.end": "succeeded"}) in (
        telemetry.measured("triojob.job.duration")
    )
    assert (0 + 1, {"code.function.name": name}) in telemetry.measured("triojob.job.wait")
    ends = [series for _, series in telemetry.measured("triojob.job.duration")]
    assert {series.get("error.type") for series in ends} == {None, "tests.support.jobs.Boom"}


def add_functions(server: ScriptedServer) -> None:
    server.app.add("echo", inputs=["a"])

    @server.app.endpoint(inputs=["a"])
    async def kaput(event: Event) -> None:
        raise GradioError("kaput")


def sent(server: ScriptedServer) -> list[str | None]:
    joins = [request for request in server.requests if request.path.endswith("/queue/join")]
    return [request.headers.get("traceparent") for request in joins]


async def test_app_call_can_carry_the_trace(autojump_clock, memory_app, telemetry):
    add_functions(memory_app)
    token = context.attach(baggage.set_baggage("tenant", "a b"))
    try:
        async with Client(
            memory_app.url,
            transport=memory_app.transport(),
            instruments=[telemetry.instrument(propagate=True)],
        ) as client:
            own = client.submit("x", api_name="/echo")
            async with client.session() as session:
                pinned = session.submit("x", api_name="/echo")
            async with JobGroup(instruments=[telemetry.instrument()]) as group:
                group.submit(client.endpoint("/echo"), "x")
            await client.predict("x", api_name="/echo")
    finally:
        context.detach(token)
    expected: list[str | None] = [None, None]
    for job in (own, pinned):
        found = telemetry.of(job).context
        assert found is not None
        ids = f"{found.trace_id:032x}-{found.span_id:016x}"
        expected.append(f"00-{ids}-{found.trace_flags:02x}")
    assert sorted(sent(memory_app), key=str) == sorted(expected, key=str)
    with_baggage = [r for r in memory_app.requests if r.headers.get("baggage") == "tenant=a+b"]
    assert len(with_baggage) == 2, "it is only where the trace is, too"


async def test_app_call_says_which_and_how(autojump_clock, memory_app, telemetry):
    add_functions(memory_app)
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(instruments=[telemetry.instrument()]) as group,
    ):
        job = group.submit(client.endpoint("/kaput"), "x")
        await job.wait()
        assert isinstance(job.exception(), AppError)
    span = telemetry.of(job)
    assert (span.name, span.kind) == ("/kaput", trace.SpanKind.CLIENT)
    assert attributes(span) == {
        "rpc.system.name": "gradio",
        "rpc.method": "/kaput",
        "server.address": "scripted.test",
        "server.port": 80,
        "error.type": "triojob.AppError",
        "triojob.job.id": job.id,
        "triojob.job.end": "failed",
        "triojob.job.outputs": 0,
    }
    told = [dict(event.attributes or {}) for event in span.events]
    statuses = [event["triojob.status"] for event in told if "triojob.status" in event]
    assert statuses == ["JOINING_QUEUE", "IN_QUEUE", "PROCESSING"]


async def test_each_attempt_of_call_carries_trace(autojump_clock, memory_app, telemetry):
    add_functions(memory_app)
    full = Answer(503, b'{"detail": "Queue is full."}', {"content-type": "application/json"})
    memory_app.fault("POST", "/queue/join", full, times=2)
    instruments = [telemetry.instrument(propagate=True)]
    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(instruments=instruments, retry=Retry()) as group,
    ):
        group.submit(client.endpoint("/echo"), "x")
    assert len(sent(memory_app)) == 3
    assert len(set(sent(memory_app))) == 1
    assert sent(memory_app)[0] is not None


async def test_measures_of_a_client_are_exported(autojump_clock, memory_app, telemetry):
    @memory_app.app.endpoint(inputs=["number"], concurrency_limit=10)
    async def take(event: Event) -> None:
        await trio.sleep(event.data[0])
        await event.completed(["x"])

    instrument = telemetry.instrument()
    server = {"server.address": "scripted.test", "server.port": 80}
    take_of = {"rpc.method": "/take", **server}
    client = Client(memory_app.url, transport=memory_app.transport())
    with pytest.raises(ClientClosed), instrument.observe(client):
        pass
    async with client, JobGroup() as group:
        with instrument.observe(client):
            await client.predict(1, api_name="/take")
            memory_app.fault("POST", "/queue/join", Answer(429, b""), times=2)
            for _ in range(20):
                group.submit(client.endpoint("/take"), 100)
            await trio.sleep(50)
            # In another thread, as an exporter does it; the clock stands still meanwhile.
            exporter = ThreadPoolExecutor(1)
            for name, value in (
                ("window", 16),
                ("in_flight", 16),
                ("running", 10),
                ("queued", 6),
                ("waiting", 4),
                ("calls", 1),
            ):
                measured = exporter.submit(telemetry.measured, f"triojob.client.{name}").result()
                assert measured == [(value, take_of)]
            exporter.shutdown()
            assert telemetry.measured("triojob.client.refusals") == [(2, server)]
            counts = client.statistics()
            assert telemetry.measured("triojob.client.io") == [
                (counts.bytes_sent, {"network.io.direction": "transmit", **server}),
                (counts.bytes_received, {"network.io.direction": "receive", **server}),
            ]
        assert telemetry.measured("triojob.client.window") == []
        group.cancel_scope.cancel()


async def test_latency_begins_when_a_call_is_sent(autojump_clock, memory_app, telemetry):
    @memory_app.app.endpoint(inputs=["number"])
    async def take(event: Event) -> None:
        await trio.sleep(event.data[0])
        await event.completed(["x"])

    async with (
        Client(memory_app.url, transport=memory_app.transport()) as client,
        JobGroup(instruments=[telemetry.instrument()], limit=1) as group,
    ):
        for _ in range(2):
            group.submit(client.endpoint("/take"), 10)
    ((latency, _),) = telemetry.measured("triojob.job.latency")
    ((duration, _),) = telemetry.measured("triojob.job.duration")
    assert (latency, duration) == (pytest.approx(20, rel=0.01), pytest.approx(30, rel=0.01))


def test_without_sdk_nothing_happens() -> None:
    code = """
import trio
from triojob import JobGroup
from triojob.opentelemetry import OpenTelemetry
async def main():
    async with JobGroup(instruments=[OpenTelemetry(propagate=True)]) as group:
        group.submit(trio.sleep, 0)
trio.run(main)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_extra_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
import triojob
try:
    import triojob.opentelemetry
except triojob.MissingDependency as exc:
    print(exc)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "pip install 'triojob[otel]'" in done.stdout
    assert done.stderr == ""
