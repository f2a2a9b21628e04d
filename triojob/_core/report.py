"""`report`: how a function that runs as a job reports its progress, status and outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import final

import trio

from .messages import (
    LogMessage,
    ProgressUnit,
    Status,
    StatusUpdate,
    WholeOutput,
)
from .runs import require_run
from .sink import ChannelSink

current_sink: ContextVar[ChannelSink] = ContextVar("triojob.current_sink")
"""The sink of the job in which the code runs."""


@final
class Report:
    """Reports for the job in which the calling code runs; use it as ``triojob.report``.

    It works in the function that was passed to `JobGroup.submit` and in everything that it calls,
    in tasks that it starts, and in threads started by `trio.to_thread.run_sync`.
    No method blocks, and none is a checkpoint.

    Raises:
        RuntimeError: Each method raises it when called outside a job, in another Trio run than the
            job's, or after the job has ended.
    """

    __slots__ = ()

    def progress(
        self,
        progress: float | tuple[float, float | None] | ProgressUnit | Sequence[ProgressUnit],
        desc: str | None = None,
        total: float | None = None,
        unit: str = "steps",
    ) -> None:
        """Report progress; the arguments are those of ``gr.Progress``.

        Args:
            progress: The completed share (0 to 1), or ``(done, length)``, or the number of
                completed units if ``total`` is given, or one or several `ProgressUnit` (outermost
                first).
            desc: A description of the current work.
            total: The total number of units.
            unit: The name of the units.

        Raises:
            ValueError: ``progress`` is a share that is not from 0 to 1.
        """
        data = _progress_units(progress, desc, total, unit)
        _send(lambda sink: sink.status(StatusUpdate(Status.PROGRESS, progress_data=data)))

    def status(
        self,
        code: Status,
        *,
        rank: int | None = None,
        queue_size: int | None = None,
        eta: float | None = None,
    ) -> None:
        """Report a status, such as the rank in your own queue; ``eta`` is in seconds.

        Raises:
            ValueError: Only triojob sets this code: FINISHED, CANCELLED or LOG.
        """
        if code in (Status.FINISHED, Status.CANCELLED, Status.LOG):
            raise ValueError(
                f"a job can't report {code.name}: return or raise to finish, "
                "call job.cancel() to cancel, report.log() to log"
            )
        update = StatusUpdate(code, rank=rank, queue_size=queue_size, eta=eta)
        _send(lambda sink: sink.status(update))

    def output(self, value: object) -> None:
        """Report an output; the reported outputs become the outputs of the function, in order."""
        output = WholeOutput(value)
        _send(lambda sink: sink.output(output))

    def log(self, text: str, level: str = "info") -> None:
        """Report a log message for the readers of the job."""
        message = LogMessage(text, level)
        _send(lambda sink: sink.put(message))


report: Report = Report()


def _send(put: Callable[[ChannelSink], bool]) -> None:
    try:
        sink = current_sink.get()
    except LookupError:
        raise RuntimeError(
            "triojob.report works only in a function that runs as a job: "
            "start it with JobGroup.submit"
        ) from None
    if trio.lowlevel.in_trio_run():
        listened = _put_here(put, sink)
    else:
        # A memory channel belongs to Trio's thread; this is a worker thread of to_thread.run_sync.
        listened = trio.from_thread.run_sync(_put_here, put, sink)
    if not listened:
        raise RuntimeError("the job of this report has ended")


def _put_here(put: Callable[[ChannelSink], bool], sink: ChannelSink) -> bool:
    assert sink.token is not None
    require_run("the job of this report", sink.token)
    return put(sink)


def _progress_units(
    progress: float | tuple[float, float | None] | ProgressUnit | Sequence[ProgressUnit],
    desc: str | None,
    total: float | None,
    unit: str,
) -> list[ProgressUnit]:
    if isinstance(progress, ProgressUnit):
        return [progress if desc is None else replace(progress, desc=desc)]
    if isinstance(progress, (int, float)):
        if total is not None:
            return [ProgressUnit(progress, total, unit, None, desc)]
        if math.isnan(progress) or not 0 <= progress <= 1:
            raise ValueError(
                f"progress must be between 0 and 1, not {progress!r}; "
                "to count steps, pass (done, length) or total="
            )
        return [ProgressUnit(None, None, unit, float(progress), desc)]
    if len(progress) == 2 and not isinstance(progress[0], ProgressUnit):
        index, length = progress
        return [ProgressUnit(index, length, unit, None, desc)]  # type: ignore[arg-type]
    return list(progress)  # type: ignore[arg-type]
