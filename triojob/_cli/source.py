"""The rows that ``triojob map`` has yet to call, handed out one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import trio

from .ending import CommandError
from .ledger import BLOCK, Finished
from .plan import Plan
from .rows import Row, Rows


class Source:
    """Hands out the rows that are not finished yet, at the rate that is asked for.

    Of a resumed run the finished rows are compared with the input, block by block, before any row
    of a block is handed out.

    Args:
        finished: The rows to leave out.
        output: Where those are, for people.
        rate: How many rows to hand out in a second at most, evenly apart; None for no bound.
        on_columns: Called once with the names of the columns, if only the rows tell them.
    """

    def __init__(
        self,
        rows: Rows,
        plan: Plan,
        finished: Finished,
        *,
        output: str,
        rate: float | None,
        on_columns: Callable[[Iterable[str]], object],
    ) -> None:
        self.read = 0
        """How many rows have been read."""
        self.failure: CommandError | None = None
        """Why the input ended early, or None."""
        self._rows = rows
        self._plan = plan
        self._finished = finished
        self._output = output
        self._on_columns: Callable[[Iterable[str]], object] | None = on_columns
        if rows.columns is not None:
            self._on_columns = None
        self._turn = trio.Lock()
        self._ready: deque[Row] = deque()
        self._block: list[Row] = []
        self._pause = 0.0 if rate is None else 1 / rate
        self._next_start = 0.0
        self._ended = False

    async def next(self) -> Row | None:
        """Return the next row when its time has come; None at the end of the input."""
        async with self._turn:
            while not self._ready and not self._ended:
                try:
                    await self._fill()
                except CommandError as exc:
                    # What is under way goes on to its end.
                    self.failure, self._ended = exc, True
            if not self._ready:
                return None
            if self._pause:
                await trio.sleep_until(self._next_start)
                self._next_start = max(self._next_start, trio.current_time()) + self._pause
            return self._ready.popleft()

    async def _fill(self) -> None:
        batch = await self._rows.next_batch()
        for row in batch:
            self.read += 1
            if self._on_columns is not None and row.error is None:
                self._on_columns(row.values)
                self._on_columns = None
            block = row.index // BLOCK
            if self._block and self._block[0].index // BLOCK != block:
                self._pass_on()
            if block in self._finished.sums:
                self._block.append(row)
            else:
                self._ready.append(row)
        if not batch:
            self._ended = True
            self._pass_on()
            last = (self.read - 1) // BLOCK
            if any(block > last for block in self._finished.sums):
                raise self._is_other_input(f"it has more rows than the {self.read:,} of the input")

    def _pass_on(self) -> None:
        """Compare the finished rows of a block with what its output was made of."""
        block, self._block = self._block, []
        if not block:
            return
        finished = [row for row in block if row.index in self._finished.rows]
        number = block[0].index // BLOCK
        if not self._finished.has_digests(number, [self._plan.digest(row) for row in finished]):
            raise self._is_other_input(
                f"rows {block[0].index} to {block[-1].index} were made of other values"
            )
        self._ready.extend(row for row in block if row.index not in self._finished.rows)

    def _is_other_input(self, words: str) -> CommandError:
        return CommandError(
            f"{self._output} can't be resumed with this input: {words}; "
            "give the input, the columns and the constants that it was made with"
        )
