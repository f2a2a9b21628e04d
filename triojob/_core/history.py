"""The history of a job: its messages and outputs in order, bounded by ``history``.

Positions count from the job's first message, including dropped ones.
Trio's thread writes; any thread can read at any time, because the buffers never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .messages import UNKNOWN, LogMessage, Output, OutputUpdate, RenderUpdate, StatusUpdate

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

Update = StatusUpdate | OutputUpdate | LogMessage | RenderUpdate
Notice = StatusUpdate | LogMessage | RenderUpdate


class Buffer(Generic[T]):
    """The last ``keep`` items of a list that only grows: a snapshot.

    A buffer never changes.  The buffers of one list share their items: `appended` adds items
    after the end of the earlier buffers, which is safe for readers in other threads too.
    (Free-threaded Python locks a list for each operation on it.)
    """

    __slots__ = ("_first", "_items", "_keep", "end", "start")

    def __init__(self, keep: int | None, first: int = 0, items: list[T] | None = None) -> None:
        self._keep = keep
        self._items: list[T] = [] if items is None else items
        self._first = first
        """The position of ``_items[0]``; it can be less than `start`: trimming goes by batches."""
        self.end: int = first + len(self._items)
        """The position after the last item."""
        self.start: int = first if keep is None else max(first, self.end - keep)
        """The position of the oldest item that is kept: the number of dropped items."""

    def __getitem__(self, position: int) -> T:
        return self._items[position - self._first]

    def appended(self, item: T) -> Self:
        """Return the buffer with one more item; call this on the newest buffer of a list only."""
        self._items.append(item)
        return self._of(self._first, self._items)

    def trimmed(self) -> Self:
        """Return the buffer without the items that are not kept, or itself while they are few.

        Trimming each time would make every append cost O(keep).
        """
        if self._keep is None or len(self._items) <= 2 * self._keep + 16:
            return self
        return self._of(self.start, self._items[self.start - self._first :])

    def _of(self, first: int, items: list[T]) -> Self:
        return type(self)(self._keep, first, items)


class OutputBuffer(Buffer[tuple[Output, int]]):
    """The outputs of a job, each with the number of notices that came before it."""

    __slots__ = ("_base",)

    def __init__(
        self,
        keep: int | None,
        first: int = 0,
        items: list[tuple[Output, int]] | None = None,
        base: Any = None,
    ) -> None:
        super().__init__(keep, first, items)
        self._base = base
        """The state before ``_items[0]``."""

    def _of(self, first: int, items: list[tuple[Output, int]]) -> Self:
        return type(self)(self._keep, first, items, self.state_before(first))

    def state_before(self, position: int) -> Any:
        """Return the state before the output at ``position``."""
        if position == self._first:
            return self._base
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


class History:
    """All messages that a job received and still keeps."""

    __slots__ = ("buffers",)

    def __init__(self, keep: int | None) -> None:
        self.buffers: tuple[OutputBuffer, Buffer[Notice]] = OutputBuffer(keep), Buffer(keep)
        """The outputs and the notices, replaced together so that they are always consistent."""

    @property
    def outputs(self) -> OutputBuffer:
        """The outputs so far."""
        return self.buffers[0]

    @property
    def notices(self) -> Buffer[Notice]:
        """The other messages so far."""
        return self.buffers[1]

    def add_output(self, output: Output) -> None:
        outputs, notices = self.buffers
        self.buffers = outputs.appended((output, notices.end)), notices

    def add_notice(self, notice: Notice) -> None:
        outputs, notices = self.buffers
        self.buffers = outputs, notices.appended(notice)

    def trim(self) -> None:
        """Drop items that are not kept; called at the end of a batch.

        The state before the last output is known then; see `Output.known_state`.
        """
        outputs, notices = self.buffers
        self.buffers = outputs.trimmed(), notices.trimmed()


class OutputCursor:
    """A reader's position among the outputs, with the state from which to build the next value."""

    __slots__ = ("_buffer", "_history", "_position", "_state", "dropped")

    def __init__(self, history: History) -> None:
        self._history = history
        self._buffer = history.outputs
        """The buffer at the last `look`, which `take` uses: another thread can append meanwhile."""
        self._position = self._buffer.start
        self.dropped = self._position
        """How many outputs were dropped before this reader reached them."""
        self._state = self._buffer.state_before(self._position)

    def copy(self) -> OutputCursor:
        """Return another cursor at the same position."""
        new = object.__new__(OutputCursor)
        new._history, new._buffer = self._history, self._buffer
        new._position, new._state = self._position, self._state
        new.dropped = self.dropped
        return new

    @property
    def pending(self) -> bool:
        """Whether there is an output to take; skips dropped outputs."""
        return self.look(self._history.outputs)

    def look(self, buffer: OutputBuffer) -> bool:
        """Continue in ``buffer``; return whether it holds an output to take."""
        self._buffer = buffer
        if self._position < buffer.start:
            self.dropped += buffer.start - self._position
            self._position = buffer.start
            self._state = buffer.state_before(self._position)
        return self._position < buffer.end

    @property
    def notices_before(self) -> int:
        """How many notices came before the next output, which must be `pending`."""
        return self._buffer[self._position][1]

    def take(self) -> OutputUpdate:
        """Build the next output, which must be `pending`, and step past it."""
        output, _ = self._buffer[self._position]
        return OutputUpdate(self.take_value(), self._position - 1, output.time)

    def take_value(self) -> Any:
        """Build the value of the next output, which must be `pending`, and step past it."""
        output, _ = self._buffer[self._position]
        self._state = output.advance(self._state)
        value = output.show(self._state)
        self._position += 1
        return value

    def take_all(self) -> Iterator[Any]:
        """Build the values of all pending outputs, and step past each."""
        while self.pending:
            yield self.take_value()


class UpdateCursor:
    """A reader's position among all messages: outputs and notices, in the order of arrival."""

    __slots__ = (
        "_dropped_notices",
        "_history",
        "_notices",
        "_outputs",
        "_position",
        "_takes_output",
    )  # fmt: skip

    def __init__(self, history: History) -> None:
        self._history = history
        self._outputs = OutputCursor(history)
        self._notices = history.notices
        self._position = self._notices.start
        self._dropped_notices = self._position
        self._takes_output = False

    def copy(self) -> UpdateCursor:
        """Return another cursor at the same position."""
        new = object.__new__(UpdateCursor)
        new._history, new._outputs = self._history, self._outputs.copy()
        new._notices, new._position = self._notices, self._position
        new._dropped_notices, new._takes_output = self._dropped_notices, self._takes_output
        return new

    @property
    def dropped(self) -> int:
        """How many messages were dropped before this reader reached them."""
        return self._outputs.dropped + self._dropped_notices

    @property
    def pending(self) -> bool:
        """Whether there is a message to take; skips dropped messages."""
        outputs, self._notices = self._history.buffers
        if self._position < self._notices.start:
            self._dropped_notices += self._notices.start - self._position
            self._position = self._notices.start
        has_output = self._outputs.look(outputs)
        self._takes_output = has_output and self._outputs.notices_before <= self._position
        return has_output or self._position < self._notices.end

    def take(self) -> Update:
        """Return the next message, which must be `pending`, and step past it."""
        if self._takes_output:
            return self._outputs.take()
        notice = self._notices[self._position]
        self._position += 1
        return notice
