"""`OpenTelemetry`: a span for each job, histograms of durations, and measures of clients.

It needs ``pip install "triojob[otel]"``, and an SDK that the program configures to export the
traces; without an SDK it does nothing, at little cost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any, final
from urllib.parse import urlsplit

import trio

from ._core.instruments import Instrument
from ._core.job import Job
from ._core.messages import LogMessage, RenderUpdate, Status, StatusUpdate
from ._exceptions import MissingDependency, error_words
from ._version import __version__
from .gradio.client import Client, statistics_of
from .gradio.session.window import WindowStatistics
from .gradio.statistics import ClientStatistics

try:
    from opentelemetry import context, metrics, propagate, trace
except ImportError as _error:
    raise MissingDependency(
        "triojob.opentelemetry needs the API of OpenTelemetry, which is not installed; "
        "install it with: pip install 'triojob[otel]'"
    ) from _error

_Attributes = dict[str, str | int | bool]

_MOST_EVENTS = 100
"""Maximum number of outputs and log messages of one job that become events.

An SDK keeps 128 by default, and would drop the first ones.
"""
_SECONDS = [0.01 * 2**power for power in range(16)]
"""The bucket boundaries: those of the conventions for generative AI, and some above."""


class _Span:
    """The span of a job, with the data to continue it."""

    __slots__ = ("attributes", "codes", "events", "sent_at", "since", "span")

    def __init__(self, span: trace.Span, attributes: _Attributes) -> None:
        self.span = span
        self.attributes = attributes
        """The attributes that the metrics have too: few jobs differ in them."""
        self.since = trio.current_time()
        self.sent_at: float | None = None
        """When the last attempt of the call was about to be sent; None if there was none."""
        self.codes: set[Status] = {Status.STARTING}
        self.events = 0

    @property
    def context(self) -> context.Context:
        """Return the current context, with this span."""
        return trace.set_span_in_context(self.span)

    def add_event(self, name: str, attributes: _Attributes) -> None:
        self.events += 1
        if self.events <= _MOST_EVENTS:
            self.span.add_event(name, attributes)


@final
class OpenTelemetry(Instrument):
    """Makes a span of each job: ``JobGroup(instruments=[OpenTelemetry()])``.

    - A span has the name of the endpoint or function, and is a child of the span that is current
      where the job is submitted.  It lasts from there to the job's end.  In the job's own task, it
      is the current span, so the spans of your function are its children.
    - Its attributes are ``rpc.system.name`` ("gradio"), ``rpc.method``, ``server.address`` and
      ``server.port`` for calls of an app; ``triojob.job.id``, ``triojob.job.outputs`` (their
      number), ``triojob.job.end`` ("succeeded", "failed" or "cancelled"), ``error.type``, and
      ``triojob.job.cancel_reason``, if there is one.
    - Its events are ``started`` (the job acquired its limit), ``status`` (the first of each kind),
      ``output`` and ``log`` (the first hundred of both), ``exception``.
    - Its status is an error if the job failed; a cancellation is not an error.

    The metrics of jobs are histograms, in seconds: ``triojob.job.duration``, from submission to
    end; ``triojob.job.wait``, until the job acquired its limit; and for calls of an app
    ``triojob.job.latency``, from the moment when the call was about to be sent (for the last time,
    if it was retried) to the end of the job.

    `observe` adds metrics of clients.

    Traces contain no arguments and outputs.  They contain failures, with messages and tracebacks.

    Args:
        tracer_provider, meter_provider: None for the providers that the program has set.
        propagate: Whether to send the trace with each call, by the propagator that the program has
            set: as headers such as ``traceparent``, which an app with tracing continues.
            Off by default: the app might be a stranger's, and ``baggage`` can hold anything.
        log_text: Whether the events of log messages contain the text of the app.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        propagate: bool = False,
        log_text: bool = False,
    ) -> None:
        self._propagate = propagate
        self._log_text = log_text
        self._tracer = trace.get_tracer("triojob", __version__, tracer_provider)
        meter = metrics.get_meter("triojob", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "triojob.job.duration",
            unit="s",
            description="How long jobs take, from submission to end.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._wait = meter.create_histogram(
            "triojob.job.wait",
            unit="s",
            description="How long jobs wait for the limit of their group.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._latency = meter.create_histogram(
            "triojob.job.latency",
            unit="s",
            description="How long calls of an app take, from being sent to the job's end.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._spans: dict[int, _Span] = {}
        self._clients: dict[object, Client] = {}
        self._create_measures(meter)

    @contextmanager
    def observe(self, client: Client) -> Generator[None, None, None]:
        """Export measures of a client while the block runs: ``with telemetry.observe(client):``.

        They are read whenever the SDK exports, in its thread; calls cost nothing more.
        All have the attributes ``server.address`` and ``server.port``:

        - ``triojob.client.window``, ``triojob.client.in_flight``, ``triojob.client.running``,
          ``triojob.client.queued`` and ``triojob.client.waiting``, the ``window``, ``in_flight``,
          ``running``, ``waiting_there`` and ``waiting_here`` of `WindowStatistics`, for each
          endpoint, named by the attribute ``rpc.method``;
        - the counters ``triojob.client.calls`` (calls that ended without having been cancelled, for
          each endpoint), ``triojob.client.refusals`` and ``triojob.client.retries``;
        - the counter ``triojob.client.io``, in bytes, with the attribute ``network.io.direction``
          ("transmit" or "receive"): see ``bytes_sent`` of `ClientStatistics`.

        Args:
            client: A client that has been entered.

        Raises:
            ClientClosed: The client has not been entered.
        """
        statistics_of(client, None)
        key = object()
        self._clients[key] = client
        try:
            yield
        finally:
            del self._clients[key]

    def _create_measures(self, meter: metrics.Meter) -> None:
        def read(
            measure: Callable[[ClientStatistics], Iterable[tuple[float, _Attributes]]],
        ) -> list[Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]]:
            def observe(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
                for client in list(self._clients.values()):
                    server = _server_attributes(client.src)
                    for value, attributes in measure(statistics_of(client, None)):
                        yield metrics.Observation(value, {**server, **attributes})

            return [observe]

        for name, field, description in (
            ("window", "size", "How many calls can be in flight at once."),
            ("in_flight", "in_flight", "Calls that were sent and have not ended."),
            ("running", "running", "Calls in flight that the app runs."),
            ("queued", "waiting_there", "Calls in flight that wait in the app's queue."),
            ("waiting", "waiting_here", "Calls that wait in this program."),
        ):
            meter.create_observable_up_down_counter(
                f"triojob.client.{name}",
                read(partial(_by_endpoint, attrgetter(field))),
                unit="{call}",
                description=description,
            )
        meter.create_observable_counter(
            "triojob.client.calls",
            read(partial(_by_endpoint, attrgetter("latency.count"))),
            unit="{call}",
            description="Calls that ended without having been cancelled.",
        )
        meter.create_observable_counter(
            "triojob.client.refusals",
            read(lambda counts: [(counts.refusals, {})]),
            unit="{request}",
            description="Requests that an app, or a proxy in front of it, refused for load.",
        )
        meter.create_observable_counter(
            "triojob.client.retries",
            read(lambda counts: [(counts.retries, {})]),
            unit="{call}",
            description="Attempts after the first.",
        )
        meter.create_observable_counter(
            "triojob.client.io",
            read(_by_direction),
            unit="By",
            description="Bytes in the bodies of requests and responses.",
        )

    def job_submitted(self, job: Job[Any]) -> None:
        """Start a span, as a child of the current one."""
        attributes = _attributes(job)
        span = self._tracer.start_span(
            job.name,
            kind=trace.SpanKind.INTERNAL if job.url is None else trace.SpanKind.CLIENT,
            attributes={**attributes, "triojob.job.id": job.id},
        )
        self._spans[job.id] = _Span(span, attributes)

    def job_started(self, job: Job[Any]) -> None:
        """Make the span current in the job's task, which ends with the job."""
        entry = self._spans[job.id]
        inside = entry.context
        context.attach(inside)
        entry.span.add_event("started")
        self._wait.record(trio.current_time() - entry.since, entry.attributes, inside)

    def job_sending(self, job: Job[Any], headers: dict[str, str]) -> None:
        """Send the trace with the call, if ``propagate`` is set."""
        entry = self._spans[job.id]
        entry.sent_at = trio.current_time()
        if self._propagate:
            propagate.inject(headers, entry.context)

    def job_update(self, job: Job[Any], notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        """Add an event for a log message, and for the first status of each kind."""
        entry = self._spans[job.id]
        if isinstance(notice, StatusUpdate):
            if notice.code not in entry.codes and notice.code < Status.FINISHED:
                entry.codes.add(notice.code)
                entry.span.add_event("status", {"triojob.status": notice.code.name})
        elif isinstance(notice, LogMessage):
            attributes: _Attributes = {"triojob.log.level": notice.level}
            if self._log_text:
                attributes["triojob.log.text"] = notice.text
            entry.add_event("log", attributes)

    def job_output(self, job: Job[Any], index: int) -> None:
        """Add an event for an output."""
        self._spans[job.id].add_event("output", {"triojob.output.index": index})

    def job_ended(self, job: Job[Any]) -> None:
        """End the span and set its outcome, without retrieving the failure."""
        entry = self._spans.pop(job.id)
        # A copy, because an SDK might have kept the dict that it got for the waiting metric.
        span, attributes = entry.span, dict(entry.attributes)
        error = self.failure_of(job)
        attributes["triojob.job.end"] = "succeeded"
        if job.cancelled:
            attributes["triojob.job.end"] = "cancelled"
            reason = getattr(error, "reason", None)
            if reason:
                span.set_attribute("triojob.job.cancel_reason", reason)
        elif error is not None:
            attributes["triojob.job.end"] = "failed"
            attributes["error.type"] = _name_of(type(error))
            _record_error(span, error)
        span.set_attributes(attributes)
        span.set_attribute("triojob.job.outputs", job.output_count)
        span.end()
        now = trio.current_time()
        self._duration.record(now - entry.since, attributes, entry.context)
        if entry.sent_at is not None:
            self._latency.record(now - entry.sent_at, attributes, entry.context)


def _attributes(job: Job[Any]) -> _Attributes:
    if job.url is None:
        return {"code.function.name": job.name}
    return {"rpc.system.name": "gradio", "rpc.method": job.name, **_server_attributes(job.url)}


def _server_attributes(base: str) -> _Attributes:
    url = urlsplit(base)
    return {
        "server.address": url.hostname or "",
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _by_endpoint(
    measure: Callable[[WindowStatistics], float], counts: ClientStatistics
) -> Iterable[tuple[float, _Attributes]]:
    for name, window in counts.windows.items():
        yield measure(window), {"rpc.method": name}


def _by_direction(counts: ClientStatistics) -> Iterable[tuple[float, _Attributes]]:
    yield counts.bytes_sent, {"network.io.direction": "transmit"}
    yield counts.bytes_received, {"network.io.direction": "receive"}


def _record_error(span: trace.Span, error: BaseException) -> None:
    words = error_words(error)
    span.set_status(trace.StatusCode.ERROR, words)
    try:
        span.record_exception(error)
    except Exception:  # noqa: BLE001 - raised by a foreign `__str__`, and the words tell
        attributes = {"exception.type": _name_of(type(error)), "exception.message": words}
        span.add_event("exception", attributes)


def _name_of(kind: type[BaseException]) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"
