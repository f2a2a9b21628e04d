"""Runs a job: receives what its call sends, records it, and records the end.

All of it happens in the job's own task.
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
        record: What is written to.
    """

    __slots__ = ("_draining", "final_message", "record", "sink")

    def __init__(self, record: JobRecord) -> None:
        self.record: JobRecord = record
        self.sink: ChannelSink = ChannelSink(only_end=record.owner is None)
        """Where the call sends its messages to."""
        self.final_message: Finished | None = None
        """How a call ended that was cancelled before it could return that."""
        self._draining = False

    async def receive(self) -> Outcome[Any] | None:
        """Record what comes through the channel until the job's end; return how it ended.

        None stands for an `Interrupt`: there is more to receive.
        """
        sink, channel = self.sink, self.sink.receiver
        while True:
            if sink.unread:
                # What is there already is recorded before anything else runs.
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

        A listener may report while it is told of something; that comes after what it is told of.

        Args:
            context: What listeners are called in.
        """
        if not self._draining:  # no context can be entered twice
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
            # Progress and log stay until there is newer; see StatusUpdate.
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
        """Record the end; ``result`` is None where a cancellation came first.

        Returns:
            The exception, if it is not an `Exception`, such as `KeyboardInterrupt`: the caller must
            raise it, as it is not stored as the outcome.
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
            cause = None  # a cancellation is no news, and its frames hold this job
        del inside, stops
        # What the producer said before it was stopped is part of the job; if it had come to its
        # end by then, that is how the job ended: a failure during the cancellation is not lost.
        final = self._close()
        if result is None and final is not None:
            result, record.cancelled = final.outcome, final.cancelled
        if isinstance(result, Error) and not isinstance(result.error, Exception):
            # It goes through the group, once; whoever waits here learns that the job is gone.
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
        """Record the outcome, then tell of it: whoever is told finds all of it recorded."""
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
        """Record what the channel still holds and close it; return the end, if it holds that."""
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
