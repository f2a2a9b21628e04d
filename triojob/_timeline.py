"""What a job remembers: its messages and outputs in order, bounded by ``history``.

Positions count from the job's first message, whatever has been dropped since.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from ._messages import UNKNOWN, LogMessage, Output, OutputUpdate, RenderUpdate, StatusUpdate

T = TypeVar("T")

Update = StatusUpdate | OutputUpdate | LogMessage | RenderUpdate
Notice = StatusUpdate | LogMessage | RenderUpdate


class Tape(Generic[T]):
    """An append-only list that keeps its last ``keep`` items and counts the others."""

    __slots__ = ("_first", "_items", "_keep")

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._items: list[T] = []
        self._first = 0
        """The position of ``_items[0]``; older than `start`, as trimming is done in batches."""

    @property
    def end(self) -> int:
        """The position after the last item."""
        return self._first + len(self._items)

    @property
    def start(self) -> int:
        """The position of the oldest item that is kept: so many were dropped."""
        return self._first if self._keep is None else max(self._first, self.end - self._keep)

    def __getitem__(self, position: int) -> T:
        return self._items[position - self._first]

    def append(self, item: T) -> None:
        self._items.append(item)

    def trim(self) -> None:
        """Let go of what needs not be kept, or of nothing yet if it is little.

        Trimming each time would make every append cost O(keep).
        """
        if self._keep is not None and len(self._items) > 2 * self._keep + 16:
            start = self.start
            self._trimming(start)
            del self._items[: start - self._first]
            self._first = start

    def _trimming(self, start: int) -> None:
        """Hook: the items before the position ``start`` are about to go."""


class OutputTape(Tape[tuple[Output, int]]):
    """The outputs of a job, each with the number of notices that came before it."""

    __slots__ = ("_base",)

    def __init__(self, keep: int | None) -> None:
        super().__init__(keep)
        self._first: int
        self._base: Any = None
        """The state before ``_items[0]``."""

    def _trimming(self, start: int) -> None:
        self._base = self.state_before(start)

    def state_before(self, position: int) -> Any:
        """Return the state that the output at ``position`` starts from."""
        items = self._items[: position - self._first]
        begin, state = 0, self._base
        for place in range(len(items) - 1, -1, -1):
            known = items[place][0].known_state
            if known is not UNKNOWN:
                begin, state = place + 1, known
                break
        for output, _ in items[begin:]:
            state = output.advance(state)
        return state


class Timeline:
    """Everything that a job received and still keeps."""

    __slots__ = ("notices", "outputs")

    def __init__(self, keep: int | None) -> None:
        self.outputs: OutputTape = OutputTape(keep)
        self.notices: Tape[Notice] = Tape(keep)

    def add_output(self, output: Output) -> None:
        self.outputs.append((output, self.notices.end))

    def add_notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def trim(self) -> None:
        """Let go of what needs not be kept; for the end of a batch.

        There the state is at hand that the last output starts from; see `Output.known_state`.
        """
        self.outputs.trim()
        self.notices.trim()


class OutputCursor:
    """A reader's place among the outputs, with the state to build the next value from."""

    __slots__ = ("_position", "_state", "_tape", "missed")

    def __init__(self, tape: OutputTape) -> None:
        self._tape = tape
        self._position = tape.start
        self.missed = self._position
        """How many outputs were dropped before this reader came to them."""
        self._state = tape.state_before(self._position)

    @property
    def pending(self) -> bool:
        """Whether there is an output to take; skips what has been dropped."""
        if self._position < self._tape.start:
            self.missed += self._tape.start - self._position
            self._position = self._tape.start
            self._state = self._tape.state_before(self._position)
        return self._position < self._tape.end

    @property
    def notices_before(self) -> int:
        """How many notices came before the next output, which must be `pending`."""
        return self._tape[self._position][1]

    def take(self) -> OutputUpdate:
        """Build the next output, which must be `pending`, and step past it."""
        output, _ = self._tape[self._position]
        self._state = output.advance(self._state)
        update = OutputUpdate(output.show(self._state), self._position, output.time)
        self._position += 1
        return update

    def take_all(self) -> Iterator[Any]:
        """Build the values of all outputs that are there to take, and step past each."""
        while self.pending:
            yield self.take().output


class UpdateCursor:
    """A reader's place among all messages, outputs and notices merged as they came."""

    __slots__ = ("_missed_notices", "_notices", "_outputs", "_position")

    def __init__(self, timeline: Timeline) -> None:
        self._outputs = OutputCursor(timeline.outputs)
        self._notices = timeline.notices
        self._position = timeline.notices.start
        self._missed_notices = self._position

    @property
    def missed(self) -> int:
        """How many messages were dropped before this reader came to them."""
        return self._outputs.missed + self._missed_notices

    @property
    def pending(self) -> bool:
        """Whether there is a message to take; skips what has been dropped."""
        if self._position < self._notices.start:
            self._missed_notices += self._notices.start - self._position
            self._position = self._notices.start
        return self._outputs.pending or self._position < self._notices.end

    def take(self) -> Update:
        """Return the next message, which must be `pending`, and step past it."""
        if self._outputs.pending and self._outputs.notices_before <= self._position:
            return self._outputs.take()
        notice = self._notices[self._position]
        self._position += 1
        return notice
