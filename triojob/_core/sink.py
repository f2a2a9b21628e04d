"""Where the messages of a job go: the sending end of its memory channel, and what stands before."""

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

    Sending never blocks and never fails: a job that has ended drops what still comes.
    """

    __slots__ = ("_code", "yielded")

    def __init__(self) -> None:
        self._code = Status.STARTING
        self.yielded: bool = False
        """Whether an output was sent before the end."""

    @abstractmethod
    def put(self, message: Message) -> bool:
        """Send a message; return whether anybody listens."""

    @trio.lowlevel.enable_ki_protection
    def status(self, update: StatusUpdate) -> bool:
        """Send a status; return whether anybody listens."""
        self._code = update.code
        return self.put(update)

    @trio.lowlevel.enable_ki_protection
    def output(self, output: Output) -> bool:
        """Send one output of several; return whether anybody listens."""
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
        """Send the outcome, after the one output of a job that doesn't stream."""
        if output is not None:
            self.put(output)
        self.put(Finished(result, cancelled))


class ChannelSink(MessageSink):
    """The sending end of one job's memory channel.

    The channel is opened when somebody needs it: most functions say nothing of themselves.

    Args:
        only_end: Whether nobody can look at anything but how the job ends, so that the rest is
            not sent at all.
    """

    __slots__ = ("_closed", "_only_end", "_receive", "_send", "on_put", "token", "unread")

    def __init__(self, *, only_end: bool = False) -> None:
        super().__init__()
        self._send: trio.MemorySendChannel[Message] | None = None
        self._receive: trio.MemoryReceiveChannel[Message] | None = None
        self._closed = False
        self._only_end = only_end
        self.unread: int = 0
        """How many messages were sent and not received; whoever receives one counts it down."""
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
        """Listen no more; return what was sent and not yet received."""
        self._closed = True
        rest: list[Message] = []
        while self.unread:
            rest.append(self.receiver.receive_nowait())
            self.unread -= 1
        return rest
