"""Reads the record of a job in threads other than Trio's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from outcome import Outcome

from .._core.history import History, OutputCursor
from ._atomic import SharedCursor
from .utils import OutputUpdate, StatusUpdate, UpdateReader, latest


@final
class JobReader:
    """Reads one job, in any number of threads and signal handlers; no method waits.

    Args:
        outcome: Returns the outcome of the job once it has ended; None if it was cancelled.
    """

    __slots__ = ("_history", "_listed", "_outputs", "_updates")

    def __init__(self, history: History, outcome: Callable[[], Outcome[Any] | None]) -> None:
        self._history = history
        cursor = OutputCursor(history)
        self._listed: tuple[OutputCursor, tuple[Any, ...]] = cursor, ()
        """All outputs up to a cursor; replaced and never changed, like all cursors here."""
        self._outputs: SharedCursor[OutputCursor | None] = SharedCursor(cursor)
        self._updates = SharedCursor(UpdateReader(history, outcome))

    @property
    def recorded(self) -> int:
        """The number of messages so far."""
        outputs, notices = self._history.buffers
        return outputs.end + notices.end

    @property
    def has_outputs(self) -> bool:
        """Whether there has been an output."""
        return self._history.outputs.end > 0

    def status(self) -> StatusUpdate:
        """Return the status of the last message that has one."""
        return latest(self._history)

    def outputs(self) -> list[Any]:
        """Return the outputs so far, including outputs that an earlier call has returned."""
        cursor, values = self._listed
        cursor = cursor.copy()
        if cursor.pending:
            values = (*values, *cursor.take_all())
            self._listed = cursor, values
        return list(values)

    def next_output(self, last: Sequence[Any]) -> tuple[Any] | None:
        """Return an output that no call has returned before, or None if there is none.

        Args:
            last: At most one output, which comes after all recorded ones.
        """

        def step(cursor: OutputCursor | None) -> tuple[Any, OutputCursor | None] | None:
            if cursor is None:
                return None
            cursor = cursor.copy()
            if cursor.pending:
                return cursor.take_value(), cursor
            return (last[0], None) if last else None

        return self._outputs.take(step)

    def next_update(self) -> StatusUpdate | OutputUpdate | None:
        """Return a message that no call has returned before, or None if there is none."""

        def step(reader: UpdateReader) -> tuple[StatusUpdate | OutputUpdate, UpdateReader] | None:
            reader = reader.copy()
            return (reader.take(), reader) if reader.pending else None

        found = self._updates.take(step)
        return None if found is None else found[0]
