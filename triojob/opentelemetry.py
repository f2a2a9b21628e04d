"""`OpenTelemetry`: a span for each job, and histograms of waiting times and durations.

It needs ``pip install "triojob[otel]"``, and an SDK that the program configures to export the
traces; without an SDK it does nothing, at little cost.
"""

from __future__ import annotations

from typing import Any, final
from urllib.parse import urlsplit

import trio

from ._core.instruments import Instrument
from ._core.job import Job
from ._core.messages import LogMessage, RenderUpdate, Status, StatusUpdate
from ._exceptions import MissingDependency
from ._version import __version__

try:
    from opentelemetry import context, metrics, propagate, trace
except ImportError as _error:
    raise MissingDependency(
        'triojob.opentelemetry needs the API of OpenTelemetry: pip install "triojob[otel]"'
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

    __slots__ = ("attributes", "codes", "events", "since", "span")

    def __init__(self, span: trace.Span, attributes: _Attributes) -> None:
        self.span = span
        self.attributes = attributes
        """The attributes that the metrics have too: few jobs differ in them."""
        self.since = trio.current_time()
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

    The metrics are two histograms, in seconds: ``triojob.job.duration``, from submission to end,
    and ``triojob.job.wait``, until the job acquired its limit.

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
            description="How long jobs wait for their turn in their group.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._spans: dict[int, _Span] = {}

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
        if self._propagate:
            propagate.inject(headers, self._spans[job.id].context)

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
            span.set_status(trace.StatusCode.ERROR, str(error))
            span.record_exception(error)
        span.set_attributes(attributes)
        span.set_attribute("triojob.job.outputs", job.output_count)
        span.end()
        self._duration.record(trio.current_time() - entry.since, attributes, entry.context)


def _attributes(job: Job[Any]) -> _Attributes:
    if job.url is None:
        return {"code.function.name": job.name}
    url = urlsplit(job.url)
    return {
        "rpc.system.name": "gradio",
        "rpc.method": job.name,
        "server.address": url.hostname or "",
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _name_of(kind: type[BaseException]) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"
