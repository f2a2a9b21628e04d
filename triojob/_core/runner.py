"""Runs a job: receives the messages of its call, records them, and records the end.

Everything here runs in the job's own task.
"""

from __future__ import annotations

from contextvars import Context
from dataclasses import replace
from typing import Any

import trio
from outcome import Error, Outcome, Value

from .._exceptions import JobCancelled, flatten
from .messages import Finished, Interrupt, LogMessage, Message, RenderUpdate, Status, StatusUpdate
from .record import JobRecord
from .sink import ChannelSink


class JobRunner:
    """The writing side of one job's record.

    Args:
        record: The record to write to.
    """

    __slots__ = ("_draining", "final_message", "record", "sink")

    def __init__(self, record: JobRecord) -> None:
        self.record: JobRecord = record
        self.sink: ChannelSink = ChannelSink(only_end=record.owner is None)
        """The sink to which the call sends its messages."""
        self.final_message: Finished | None = None
        """The outcome of a call that was cancelled before it could return the outcome."""
        self._draining = False

    async def receive(self) -> Outcome[Any] | None:
        """Record the messages of the channel until the job's end; return the outcome.

        None means that an `Interrupt` came: there is more to receive.
        """
        sink, channel = self.sink, self.sink.receiver
        while True:
            if sink.unread:
                # Messages that have arrived already are recorded before anything else runs.
                message = channel.receive_nowait()
            else:
                self._end_batch()
                message = await channel.receive()
            sink.unread -= 1
            if isinstance(message, Finished):
                self.record.cancelled = message.cancelled
                return message.outcome
            if isinstance(message, Interrupt):
                return None
            self.add(message)

    @trio.lowlevel.enable_ki_protection
    def drain(self, context: Context) -> None:
        """Record what the channel holds; for calls that run in the job's own task.

        A listener can report while it is called; its report is recorded after the current message.

        Args:
            context: The context in which to call listeners.
        """
        if not self._draining:  # a context cannot be entered twice
            self._draining = True
            try:
                context.run(self._drain)
            finally:
                self._draining = False

    @trio.lowlevel.enable_ki_protection
    def _drain(self) -> None:
        while self.sink.unread:
            self.sink.unread -= 1
            self.add(self.sink.receiver.receive_nowait())
        self._end_batch()

    def add(self, message: Message) -> None:
        """Record one message."""
        record = self.record
        if isinstance(message, StatusUpdate):
            # Progress and log stay until they are replaced; see StatusUpdate.
            before = record.status
            if message.progress_data is None and before.progress_data is not None:
                message = replace(message, progress_data=before.progress_data)
            if message.log is not before.log:
                message = replace(message, log=before.log)
            self._set_status(message)
        elif isinstance(message, LogMessage):
            record.status = replace(record.status, log=message)
            self._add_notice(message)
        elif isinstance(message, RenderUpdate):
            self._add_notice(message)
        elif not isinstance(message, (Finished, Interrupt)):
            record.history.add_output(message)
            if record.emit is not None:
                record.emit("job_output", record.history.outputs.end - 1)
            if record.observers is not None:
                record.observers.on_output(message)

    def _set_status(self, status: StatusUpdate) -> None:
        record = self.record
        record.status = status
        self._add_notice(status)
        if record.observers is not None:
            record.observers.on_status(status)

    def _add_notice(self, notice: StatusUpdate | LogMessage | RenderUpdate) -> None:
        record = self.record
        record.history.add_notice(notice)
        if record.emit is not None:
            record.emit("job_update", notice)

    def _end_batch(self) -> None:
        self.record.history.trim()
        if self.record.observers is not None:
            self.record.observers.on_batch()

    def finish(
        self, result: Outcome[Any] | None, cause: BaseException | None = None
    ) -> BaseException | None:
        """Record the end; ``result`` is None if a cancellation came first.

        Returns:
            The exception, if it is not an `Exception`, such as `KeyboardInterrupt`: the caller must
            raise it, because it is not stored as the outcome.
        """
        record = self.record
        passing: BaseException | None = None
        inside = [] if cause is None else flatten(cause)
        stops = [error for error in inside if isinstance(error, trio.Cancelled)]
        if stops:
            record.cancel_source = stops[0].source
            if record.cancel_reason is None:
                record.cancel_reason = stops[0].reason
        if len(stops) == len(inside):
            cause = None  # a cancellation adds no information, and its frames hold this job
        del inside, stops
        # Messages that were sent before the cancellation belong to the job.  If they include its
        # end, that is the outcome: a failure during the cancellation is not lost.
        final = self._close()
        if result is None and final is not None:
            result, record.cancelled = final.outcome, final.cancelled
        if isinstance(result, Error) and not isinstance(result.error, Exception):
            # The group raises it, once; tasks that wait for the job get a `JobCancelled`.
            passing = cause = result.error
            result = None
        if result is None:
            record.cancelled = True
            error = JobCancelled(f"{record.name} was cancelled", reason=record.cancel_reason)
            error.__cause__ = cause
            result = Error(error)
        self._end(result)
        return passing

    def _end(self, result: Outcome[Any]) -> None:
        """Record the outcome, then notify the observers, which find a complete record."""
        record = self.record
        record.set_outcome(result)
        if record.observers is not None:
            record.observers.on_outcome()
        if record.owner is not None:
            record.owner._on_ended(record)
            self._set_status(
                StatusUpdate(
                    Status.CANCELLED if record.cancelled else Status.FINISHED,
                    success=isinstance(result, Value),
                    progress_data=record.status.progress_data,
                    log=record.status.log,
                )
            )
            self._end_batch()
        if record.observers is not None:
            record.observers.on_end()
        if record.emit is not None:
            record.emit("job_ended")
            record.emit = None

    def _close(self) -> Finished | None:
        """Record what the channel still holds and close it; return the final message, if any."""
        end = self.final_message
        for message in self.sink.close():
            if isinstance(message, Finished):
                end = end or message
            else:
                try:
                    self.add(message)
                except Exception as exc:  # noqa: BLE001 - of an output that can't be built
                    end = end or Finished(Error(exc))
        return end
