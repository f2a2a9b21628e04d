"""`Run`: the state that the rows of a run share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import trio

from .._core.call import Batch, Submittable
from .._exceptions import RunStopped
from .._fanout.starter import name_of
from ..gradio.endpoint import Endpoint
from .failures import describe as describe_error
from .outage import Reachability
from .settings import RowReader, RunSettings
from .store import Store
from .unfinished import Numbered, UnfinishedRows

R = TypeVar("R", bound=Numbered)


class Run(Generic[R]):
    """The state that the rows of a run share.

    Args:
        fn: The function that is called for each row.
        batches: The rows.
        reader: Returns the digest, the key and the arguments of a row.
        store: Where the outcomes go.
        name: The name of the store, for messages.
        probe: Raises if the app is unreachable; None if nothing tells whether it is.
        describe: Returns the text of a failure.
        say: Receives a line for people about an outage.
        on_written: Called with each outcome that was stored.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        batches: AsyncGenerator[list[R], None],
        reader: RowReader[R],
        store: Store,
        settings: RunSettings,
        *,
        name: object,
        probe: Callable[[], Awaitable[None]] | None,
        say: Callable[[str], object],
        describe: Callable[[BaseException], str] = describe_error,
        on_written: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> None:
        target = target_of(fn)
        self.fn: Callable[..., Any] = fn
        self.name: str = name_of(fn)
        self.is_endpoint: bool = isinstance(target, Submittable)
        self.stateful: bool = isinstance(target, Endpoint) and target.info.stateful
        self.reader: RowReader[R] = reader
        self.store: Store = store
        self.settings: RunSettings = settings
        self.describe: Callable[[BaseException], str] = describe
        self.rows: UnfinishedRows[R] = UnfinishedRows(
            batches, reader.digest, store.finished, digests_of=store.digests_of, store=name
        )
        self.app: Reachability | None = None
        if probe is not None and self.is_endpoint:
            self.app = Reachability(
                probe, max_outage=settings.max_outage, say=say, describe=describe
            )
        # Calls with a timeout are cancelled one by one; see `Endpoint.in_shared_session`.
        self.batch: Batch | None = Batch() if settings.timeout is None else None
        self.written: dict[int, str] = {}
        """The stored outcomes that were not handed out yet, by row."""
        self.gave_up: RunStopped | None = None
        """Why no more rows are called; rows in flight still end."""
        self.failure: Exception | None = None
        """What ended the run at once."""
        self.waiting: set[trio.CancelScope] = set()
        """The scopes of tasks that wait for an outcome."""
        self._on_written = on_written
        self._failed_in_a_row = 0
        self._failures: dict[int, tuple[str, str]] = {}
        """The kind and text of rows that have failed and were not counted yet."""

    def write(self, record: Mapping[str, Any], line: str) -> None:
        """Store an outcome.

        Raises:
            OSError, StoreError: It can't be stored.
        """
        row: int = record["row"]
        self.store.write(row, line)
        self.written[row] = line
        if "error" in record:
            self._failures[row] = record["outcome"], ": ".join(record["error"].values())
        if self._on_written is not None:
            self._on_written(record)

    def count(self, row: int, *, is_evidence: bool) -> None:
        """Count a row that has ended, and stop if too many have failed in succession.

        Args:
            is_evidence: Whether a failure says anything about the rows, and not about an outage.
        """
        failure = self._failures.pop(row, None)
        if failure is None or not is_evidence:
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        most = self.settings.max_failures
        if most is not None and self._failed_in_a_row >= most:
            self.rows.stopped = True
            kind, text = failure
            self.gave_up = RunStopped(
                f"stopped after {self._failed_in_a_row} consecutive failed rows (max_failures), "
                f"the last with {text}",
                outcome=kind,
            )

    def stop(self, error: Exception) -> None:
        """End the run: the loop over the outcomes raises the error."""
        self.rows.stopped = True
        if self.failure is None:
            self.failure = error
        for scope in self.waiting:
            scope.cancel(reason="the run has failed")


def target_of(fn: Any) -> Any:
    """Return the function inside `functools.partial` objects."""
    while isinstance(fn, partial):
        fn = fn.func
    return fn
