"""The sending end of a job's memory channel, and its interface."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import outcome
import trio

from .messages import (
    Finished,
    Interrupt,
    Message,
    Output,
    Status,
    StatusUpdate,
)

_open = trio.open_memory_channel[Message]


class MessageSink(ABC):
    """Takes the messages of one job.

    Sending never blocks and never fails: a job that has ended drops further messages.
    """

    __slots__ = ("_code", "yielded")

    def __init__(self) -> None:
        self._code = Status.STARTING
        self.yielded: bool = False
        """Whether an output was sent before the end."""

    @abstractmethod
    def put(self, message: Message) -> bool:
        """Send a message; return whether it will be received."""

    @trio.lowlevel.enable_ki_protection
    def status(self, update: StatusUpdate) -> bool:
        """Send a status; return whether it will be received."""
        self._code = update.code
        return self.put(update)

    @trio.lowlevel.enable_ki_protection
    def output(self, output: Output) -> bool:
        """Send one output of several; return whether it will be received."""
        self.yielded = True
        if self._code is not Status.ITERATING:
            self.status(StatusUpdate(Status.ITERATING))
        return self.put(output)

    def finish(
        self,
        result: outcome.Outcome[Any],
        *,
        output: Output | None = None,
        cancelled: bool = False,
    ) -> None:
        """Send the outcome, after the only output of a job that doesn't stream."""
        if output is not None:
            self.put(output)
        self.put(Finished(result, cancelled))


class ChannelSink(MessageSink):
    """The sending end of one job's memory channel.

    The channel is opened on demand: most functions report nothing.

    Args:
        only_end: Whether only the end of the job is of use, so that all other messages are not
            sent at all.
    """

    __slots__ = ("_closed", "_only_end", "_receive", "_send", "on_put", "token", "unread")

    def __init__(self, *, only_end: bool = False) -> None:
        super().__init__()
        self._send: trio.MemorySendChannel[Message] | None = None
        self._receive: trio.MemoryReceiveChannel[Message] | None = None
        self._closed = False
        self._only_end = only_end
        self.unread: int = 0
        """Number of messages that were sent and not received; the receiver decrements it."""
        self.on_put: Callable[[], object] | None = None
        """Called after each message."""
        self.token: trio.lowlevel.TrioToken | None = None
        """The token of the job's Trio run, set once a function can report."""

    @property
    def receiver(self) -> trio.MemoryReceiveChannel[Message]:
        """The job's end of the channel."""
        if self._receive is None:
            # Unbounded, so that the only reader of an event stream never waits for one job; it
            # holds at most what arrived since the job's own task last ran.
            self._send, self._receive = _open(math.inf)
        return self._receive

    @trio.lowlevel.enable_ki_protection
    def put(self, message: Message) -> bool:
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

    def close(self) -> list[Message]:
        """Close the channel; return the messages that were sent and not received."""
        self._closed = True
        rest: list[Message] = []
        while self.unread:
            rest.append(self.receiver.receive_nowait())
            self.unread -= 1
        return rest
