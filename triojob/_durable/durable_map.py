"""`durable_map`: a `map` whose outcomes are stored as they end."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio

from .._core.instruments import Instrument
from .._core.retry import Retry
from .._exceptions import short_repr
from .._fanout.inputs import check_function, check_iterable
from .._fanout.map import Items, MappedN
from .._fanout.starter import name_of
from ..gradio.endpoint import Endpoint, app_url_of, gives_paths, probe
from .companion import Resumption
from .finished import digest_of
from .open_store import open_store
from .results import DurableResults, open_results
from .run import Run, target_of
from .settings import RunSettings
from .store import StoreFile
from .unfinished import Row, rows_of

logger: logging.Logger = logging.getLogger("triojob")

ROW_RETRY = Retry(timeout=None, wait_max=30.0)


def durable_map(
    fn: MappedN[Any],
    rows: Items[Any],
    /,
    *,
    store: str | os.PathLike[str],
    key: str | Callable[[Any], Any] | None = None,
    keywords: bool = False,
    limit: int = 32,
    ordered: bool = True,
    rate: float | None = None,
    retry: Retry | None = ROW_RETRY,
    instruments: Sequence[Instrument] = (),
    timeout: float | None = None,
    files: str | os.PathLike[str] | None = None,
    max_failures: int | None = 100,
    max_outage: float = 600.0,
    resume: bool = True,
    retry_failed: bool = False,
    allow_url_change: bool = False,
    replay: bool = True,
) -> AbstractAsyncContextManager[DurableResults]:
    """Call ``fn`` with each row as `map` does, and store each outcome before you get it.

    ::

        async with triojob.durable_map(translate, lines, store="run.jsonl") as outcomes:
            async for outcome in outcomes:
                print(outcome.row, outcome.result or outcome.error_message)

    However the run ends, even by ``kill -9``, the same code continues it: rows with a stored
    outcome are not repeated, and you get all outcomes, those of earlier runs too.
    A call that the kill interrupted is repeated.
    The failure of a row is an outcome like any other, and raises nothing.

    Rows are read on demand, as by `map`.  Leaving the block cancels the calls that still run, on
    the server too; their rows are called by the next run.  The block raises the exception of its
    body as it is, not in a group.

    Args:
        fn: An `Endpoint`, an async function, or an async generator function, whose last yield is
            its result; pass further arguments with ``functools.partial``.
        rows: An iterable or async iterable, with the same rows in the same order in each run; new
            rows can follow.  A row is plain data: it is recognized by its text.
        store: The file for the outcomes.  ``.sqlite``, ``.sqlite3`` and ``.db`` name a SQLite
            database, ``.parquet`` a Parquet file that is written once all rows are finished, and
            any other suffix lines of JSON.  A file beside it, ``<store>.triojob``, says what its
            rows were made by, and keeps other processes from writing it.
        key: What to store with each outcome to join it with its row: a function of the row, or the
            name of an item of a row that is a mapping.
        keywords: Whether each row is a mapping of keyword arguments: ``fn(**row)``.  The item that
            ``key`` names is not passed then.
        limit, rate, instruments: As for `map`.
        ordered: Whether outcomes come in the order of the rows; otherwise as the calls end, and
            those of earlier runs in between.
        retry: When to retry calls of endpoints that never started; None for no retries.
        timeout: Maximum seconds for each row, its attempts included; None for no bound.
        files: A folder: save the files of row 7's result in ``row-7``, and so on.  The client must
            have ``download_files=False``; otherwise it downloads them, and the store has the paths
            of its copies, which are temporary unless ``download_files`` names a folder.
        max_failures: How many rows fail in succession before the run stops; None for any number.
        max_outage: How many seconds to wait for the app of an endpoint that becomes unreachable.
            Meanwhile no rows are called.  With ``retry=None``, a row that noticed it fails.
        resume: Whether to continue a store that has rows, instead of refusing it.
        retry_failed: Whether to remove failed rows from the store first, and call them again.
        allow_url_change: Whether the app can have another URL than in the earlier run.
        replay: Whether you also get the outcomes of rows that earlier runs finished.

    Raises:
        TypeError, ValueError: An argument is invalid.

    Entering the block raises `StoreMismatch` if the store was made by something else, `StoreError`
    or `OSError` if it can't be used, and `MissingDependency` if it needs a library.  The loop
    raises `StoreMismatch` at the first row that differs from the earlier run's, before it calls a
    row near it, and `RunStopped` after too many failures or too long an outage.
    """
    check_function("durable_map", fn, "rows")
    check_iterable("durable_map", rows)
    if not (key is None or isinstance(key, str) or callable(cast("object", key))):
        raise TypeError(f"key must be the name of an item, a function or None, not {key!r}")
    target = target_of(fn)
    if files is not None and isinstance(target, Endpoint) and gives_paths(cast("Endpoint", target)):
        raise ValueError(
            "files= saves files that the client does not download itself: open it with "
            "Client(url, download_files=False)"
        )
    settings = RunSettings(
        limit=limit,
        ordered=ordered,
        rate=rate,
        retry=retry,
        instruments=instruments,
        timeout=timeout,
        files=None if files is None else Path(files),
        max_failures=max_failures,
        max_outage=max_outage,
        replay=replay,
    )
    how = Resumption(
        made_by=_made_by(fn),
        may_differ=("url",) if allow_url_change else (),
        resume=resume,
        retry_failed=retry_failed,
    )
    opening = partial(open_store, Path(store), how)
    return _open(fn, rows, opening, settings, ItemReader(key, keywords=keywords))


@asynccontextmanager
async def _open(
    fn: Any, rows: Any, opening: Callable[[], StoreFile], settings: RunSettings, reader: ItemReader
) -> AsyncGenerator[DurableResults, None]:
    # In a thread: it reads an existing store.
    store = await trio.to_thread.run_sync(opening)
    try:
        target = target_of(fn)
        run = Run(
            fn,
            rows_of(rows),
            reader,
            store,
            settings,
            name=store.path,
            probe=partial(probe, target) if isinstance(target, Endpoint) else None,
            say=lambda words: logger.warning("%s", words),
        )
        async with open_results(run) as results:
            yield results
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


def _made_by(fn: Any) -> dict[str, str]:
    """Return the inputs of all rows, as the store records them."""
    made_by: dict[str, str] = {}
    target = target_of(fn)
    if isinstance(target, Endpoint):
        url = app_url_of(cast("Endpoint", target))
        made_by = {} if url is None else {"url": url}
        made_by["endpoint"] = target.name
    else:
        made_by["function"] = name_of(fn)
    given: list[Any] = []
    while isinstance(fn, partial):
        given.append([fn.args, fn.keywords])
        fn = cast("Any", fn).func
    if given:
        made_by["arguments"] = digest_of({"arguments": given})
    return made_by


class ItemReader:
    """Reads what an item of an iterable says.

    Args:
        key: See `durable_map`.
        keywords: See `durable_map`.
    """

    def __init__(self, key: str | Callable[[Any], Any] | None, *, keywords: bool) -> None:
        self._key = key
        self._keywords = keywords

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def digest(self, row: Row, /) -> str:
        return digest_of({"item": row.item})

    def key(self, row: Row, /) -> Any:
        key = self._key
        if not isinstance(key, str):
            return None if key is None else key(row.item)
        named = _mapping(row.item)
        return None if named is None else named.get(key)

    def arguments_of(self, row: Row, /) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        named = _mapping(row.item)
        if isinstance(self._key, str) and (named is None or self._key not in named):
            raise ValueError(f"row {row.index} has no item {self._key!r}, which key= names")
        if not self._keywords:
            return (row.item,), {}
        if named is None:
            raise TypeError(f"keywords=True takes mappings, not {short_repr(row.item)}")
        return (), {name: value for name, value in named.items() if name != self._key}


def _mapping(item: object) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", item) if isinstance(item, Mapping) else None
