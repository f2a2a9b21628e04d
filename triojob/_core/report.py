"""The sending half of a job: what a producer puts into the job's memory channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, final

import outcome
import trio

from .messages import (
    Finished,
    Interrupt,
    LogMessage,
    Message,
    Output,
    ProgressUnit,
    RenderUpdate,
    Status,
    StatusUpdate,
    WholeOutput,
)
from .runs import require_run

_open = trio.open_memory_channel[Message]

current_reporter: ContextVar[Reporter] = ContextVar("triojob.current_reporter")


class Reporter:
    """The producer's end of one job's memory channel.

    Sending never blocks and never fails: a job that has ended drops what still comes.
    The channel is opened when somebody needs it: most functions say nothing of themselves.

    Args:
        only_end: Whether nobody can look at anything but how the job ends, so that the rest is
            not sent at all.
    """

    __slots__ = ("_closed", "_code", "_only_end", "_receive", "_send", "on_put", "token", "unread",
                 "yielded")  # fmt: skip

    def __init__(self, *, only_end: bool = False) -> None:
        self._send: trio.MemorySendChannel[Message] | None = None
        self._receive: trio.MemoryReceiveChannel[Message] | None = None
        self._closed = False
        self._code = Status.STARTING
        self._only_end = only_end
        self.unread: int = 0
        """How many messages were sent and not received; whoever receives one counts it down."""
        self.yielded: bool = False
        """Whether an output was sent before the end."""
        self.on_put: Callable[[], object] | None = None
        """Called after each message."""
        self.token: trio.lowlevel.TrioToken | None = None
        """That of the job's Trio run, once a function may report."""

    @property
    def receiver(self) -> trio.MemoryReceiveChannel[Message]:
        """The job's end of the channel."""
        if self._receive is None:
            # Unbounded, so that the one reader of a stream never waits for one job; all that it
            # ever holds is what came since the job's own task last ran.
            self._send, self._receive = _open(math.inf)
        return self._receive

    def close(self) -> list[Message]:
        """Listen no more; return what was sent and not yet received."""
        self._closed = True
        rest: list[Message] = []
        while self.unread:
            rest.append(self.receiver.receive_nowait())
            self.unread -= 1
        return rest

    @trio.lowlevel.enable_ki_protection
    def _put(self, message: Message) -> bool:
        if self._closed:
            return False
        if self._only_end and not isinstance(message, (Finished, Interrupt)):
            return True
        if self._send is None:
            _ = self.receiver
            assert self._send is not None
        self._send.send_nowait(message)
        self.unread += 1
        if self.on_put is not None:
            self.on_put()
        return True

    @trio.lowlevel.enable_ki_protection
    def status(self, update: StatusUpdate) -> bool:
        """Send a status; return whether anybody listens."""
        self._code = update.code
        return self._put(update)

    def log(self, message: LogMessage) -> bool:
        """Send a log line; return whether anybody listens."""
        return self._put(message)

    def render(self, message: RenderUpdate) -> bool:
        """Send word of a render; return whether anybody listens."""
        return self._put(message)

    @trio.lowlevel.enable_ki_protection
    def output(self, output: Output) -> bool:
        """Send one output of several; return whether anybody listens."""
        self.yielded = True
        if self._code is not Status.ITERATING:
            self.status(StatusUpdate(Status.ITERATING))
        return self._put(output)

    def finish(
        self,
        result: outcome.Outcome[Any],
        *,
        output: Output | None = None,
        cancelled: bool = False,
    ) -> None:
        """Send the outcome, after the one output of a job that doesn't stream."""
        if output is not None:
            self._put(output)
        self._put(Finished(result, cancelled))


@final
class Report:
    """Tells of the job that the calling code runs in; use it as ``triojob.report``.

    It works in the function that was given to `JobGroup.submit` and in everything that it calls,
    in tasks that it starts, and in threads started by `trio.to_thread.run_sync`.
    Nothing here blocks, and nothing here is a checkpoint.

    Raises:
        RuntimeError: Each method, when called outside a job, in another Trio run than the job's, or
            after the job has ended.
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
            progress: The share that is done (0 to 1), or ``(done, length)``, or how many are done
                if ``total`` is given, or one or several `ProgressUnit` (outermost first).
            desc: What is being done.
            total: How many units there are in all.
            unit: What the units are.

        Raises:
            ValueError: ``progress`` is a share that is not from 0 to 1.
        """
        data = _progress_units(progress, desc, total, unit)
        _send(lambda reporter: reporter.status(StatusUpdate(Status.PROGRESS, progress_data=data)))

    def status(
        self,
        code: Status,
        *,
        rank: int | None = None,
        queue_size: int | None = None,
        eta: float | None = None,
    ) -> None:
        """Report a status, such as the place in a queue of your own; ``eta`` is in seconds.

        Raises:
            ValueError: The code is one that only triojob gives: FINISHED, CANCELLED or LOG.
        """
        if code in (Status.FINISHED, Status.CANCELLED, Status.LOG):
            raise ValueError(
                f"a job can't report {code.name}: return or raise to finish, "
                "call job.cancel() to cancel, report.log() to log"
            )
        update = StatusUpdate(code, rank=rank, queue_size=queue_size, eta=eta)
        _send(lambda reporter: reporter.status(update))

    def output(self, value: object) -> None:
        """Report an output; a function that reports any has those as its outputs, in order."""
        output = WholeOutput(value)
        _send(lambda reporter: reporter.output(output))

    def log(self, text: str, level: str = "info") -> None:
        """Report a line for the job's reader."""
        message = LogMessage(text, level)
        _send(lambda reporter: reporter.log(message))


report: Report = Report()


def _send(put: Callable[[Reporter], bool]) -> None:
    try:
        reporter = current_reporter.get()
    except LookupError:
        raise RuntimeError(
            "triojob.report works only in a function that runs as a job: "
            "start it with JobGroup.submit"
        ) from None
    if trio.lowlevel.in_trio_run():
        listened = _put_here(put, reporter)
    else:
        # A memory channel belongs to Trio's thread; this is a worker thread of to_thread.run_sync.
        listened = trio.from_thread.run_sync(_put_here, put, reporter)
    if not listened:
        raise RuntimeError("the job that this reports for has ended")


def _put_here(put: Callable[[Reporter], bool], reporter: Reporter) -> bool:
    assert reporter.token is not None
    require_run("the job that this reports for", reporter.token)
    return put(reporter)


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
                f"progress must be from 0 to 1, got {progress!r}; "
                "to count steps, pass (done, length) or total="
            )
        return [ProgressUnit(None, None, unit, float(progress), desc)]
    if len(progress) == 2 and not isinstance(progress[0], ProgressUnit):
        index, length = progress
        return [ProgressUnit(index, length, unit, None, desc)]  # type: ignore[arg-type]
    return list(progress)  # type: ignore[arg-type]
