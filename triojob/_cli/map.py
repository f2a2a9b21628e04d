"""``triojob map``: a call for each row of a file, several at once, in a run that can be resumed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from triojob import Endpoint, Limits, Retry, RunStopped, StoreError

from .._durable.companion import Resumption
from .._durable.durable_map import ROW_RETRY
from .._durable.open_store import open_store
from .._durable.results import open_results
from .._durable.run import Run
from .._durable.settings import RunSettings
from .._durable.store import StoreFile
from .._live._report import ReportFile
from .arguments import read_stdin
from .connecting import Connection, without_secrets
from .ending import CODES, CommandError, in_options, words_for
from .exit_codes import APP_ERROR
from .plan import Plan, PlanOptions
from .progress import Progress
from .report import MapReport
from .rows import Reading, Row, Rows, open_rows
from .screen import screen
from .streams import Stream, is_stream, open_stream
from .terminal import write_json


@dataclass(frozen=True)
class MapOptions:
    """The options of the command line."""

    endpoint: str | None
    plan: PlanOptions
    source: str
    reading: Reading
    output: str
    files: str | None
    limit: int
    rate: float | None
    """The maximum number of calls started per second."""
    retry: Retry
    timeout: float | None
    """Seconds for each row."""
    max_failures: int
    """The number of consecutive failed rows after which to stop; 0 for no limit."""
    max_outage: float
    """The seconds without the app after which to stop."""
    resume: bool
    retry_failed: bool
    allow_url_change: bool
    quiet: bool
    as_json: bool
    report: str | None = None
    """The file of the report."""


async def map_rows(connection: Connection, options: MapOptions) -> int:
    """Call the endpoint for each row; return the exit code.

    Being cancelled cancels the calls in flight, on the server too; finished rows are kept.

    Raises:
        CommandError: The options are invalid, or the input or output can't be used.
        TriojobError: The app can't be reached.
        OSError: A file can't be written.
    """
    if is_stream(options.output) and options.resume:
        raise CommandError("--resume needs an --output that is a regular file")
    file = None if options.report is None else ReportFile(options.report)
    stdin = await read_stdin(options.plan.constants)
    with closing(await open_rows(options.source, options.reading)) as rows:
        # Further calls wait inside the client.
        streams = options.limit if options.limit > _USUAL_STREAMS else None
        async with connection.open(limits=Limits(streams=streams)) as client:
            endpoint = client.endpoint(options.endpoint)
            plan = Plan(endpoint._info, options.plan, stdin)
            if rows.columns is not None:
                _check_columns(plan, rows.columns, options)
            if endpoint._info.stateful:
                _tell(f"{endpoint.name} keeps State, so the rows are called one at a time", options)
            made_by = {"url": client.src, "endpoint": endpoint.name}
            with closing(await _open_sink(options, made_by)) as sink:
                run = _Run(options, rows, plan, sink)
                if file is not None:
                    before = sink.finished.rows.count
                    run.report = MapReport(file, client, endpoint.name, before)
                return await run.run(endpoint, partial(_probe, connection))


_USUAL_STREAMS = 256


async def _probe(connection: Connection) -> None:
    async with connection.open():
        pass


async def _open_sink(options: MapOptions, made_by: Mapping[str, str]) -> StoreFile | Stream:
    if is_stream(options.output):
        return await open_stream(options.output)
    how = Resumption(
        made_by,
        may_differ=("url",) if options.allow_url_change else (),
        resume=options.resume,
        retry_failed=options.retry_failed,
    )
    # In a thread: it reads an existing output.
    return await trio.to_thread.run_sync(open_store, Path(options.output), how)


class _Run:
    """One run as the command line shows it: its progress, its summary, and its end."""

    def __init__(
        self, options: MapOptions, rows: Rows, plan: Plan, sink: StoreFile | Stream
    ) -> None:
        self._options = options
        self._rows = rows
        self._plan = plan
        self._sink = sink
        self._before = sink.finished
        self.report: MapReport | None = None
        self._is_quiet = options.quiet or (isinstance(sink, Stream) and sink.is_screen)

    async def run(self, endpoint: Endpoint, probe: Callable[[], Awaitable[None]]) -> int:
        """Run to the end of the input; return the exit code.

        Raises:
            CommandError: It was stopped, or the input is invalid.
            StoreError: The output can't be used.
        """
        options = self._options
        run = Run(
            endpoint,
            self._checked(),
            self._plan,
            self._sink,
            RunSettings(
                limit=options.limit,
                ordered=False,
                rate=options.rate,
                retry=options.retry,
                timeout=options.timeout,
                files=None if options.files is None else Path(options.files),
                max_failures=options.max_failures or None,
                max_outage=options.max_outage,
                replay=False,
            ),
            name=options.output,
            probe=probe,
            say=lambda words: _tell(words, options),
            describe=words_for,
            on_written=lambda record: self._note(record, progress),
        )
        assert run.app is not None
        progress = Progress(
            run.app,
            before=self._before.rows.count,
            estimate=lambda: self._rows.estimate(run.rows.read),
            is_exact=self._rows.total is not None,
            quiet=self._is_quiet,
        )
        failure: CommandError | StoreError | None = None
        state = "interrupted"
        try:
            async with trio.open_nursery() as background:
                background.start_soon(progress.show)
                if self.report is not None:
                    background.start_soon(self.report.run)
                try:
                    await self._take_all(run)
                    state = "finished"
                except RunStopped as exc:
                    state = in_options(str(exc))
                    failure = CommandError(f"{state}; {self._advice(progress)}", CODES[exc.outcome])
                except (CommandError, StoreError) as exc:
                    failure, state = exc, words_for(exc)
                background.cancel_scope.cancel(reason="all rows are done")
        finally:
            # Also after an interruption: show the progress so far.
            if failure is None or progress.done:
                self._summarize(progress)
            if self.report is not None:
                self.report.write(state)
        if failure is not None:
            raise failure
        return APP_ERROR if progress.failed + self._before.failed else 0

    def _note(self, record: Mapping[str, Any], progress: Progress) -> None:
        if self.report is not None:
            self.report.add(record)
        progress.add(record["outcome"], record["row"], record.get("error"))

    async def _take_all(self, run: Run[Row]) -> None:
        """Run to the end; each row has its line in the output at the moment it ends."""
        async with open_results(run) as outcomes:
            async for _ in outcomes:
                if isinstance(self._sink, Stream):
                    await self._sink.flush()

    async def _checked(self) -> AsyncGenerator[list[Row], None]:
        """Yield the rows; check the columns in the first row if only the rows contain them."""
        is_checked = self._rows.columns is not None
        while batch := await self._rows.next_batch():
            first = next((row for row in batch if row.error is None), None)
            if first is not None and not is_checked:
                is_checked = True
                _check_columns(self._plan, first.values, self._options)
            yield batch

    def _advice(self, progress: Progress) -> str:
        if is_stream(self._options.output):
            return "only a run with --output FILE can be resumed"
        if progress.failed:
            words = "to resume and retry failed rows, run"
            return f"{words}: {resume_command('--retry-failed')}"
        return f"to resume, run: {resume_command()}"

    def _summarize(self, progress: Progress) -> None:
        before = self._before
        if self._options.as_json:
            write_json(
                {
                    "ok": progress.ok,
                    "failed": progress.failed,
                    "before": before.rows.count,
                    "failed_before": before.failed,
                    "seconds": round(progress.seconds, 3),
                    "failures": progress.failures,
                }
            )
        else:
            _tell(progress.summary(before.rows.count, before.failed), self._options)


def _tell(words: str, options: MapOptions) -> None:
    if not options.quiet:
        screen().say(words)


def _check_columns(plan: Plan, columns: Iterable[str], options: MapOptions) -> None:
    """Refuse an input that lacks a column, and report unused columns."""
    plan.check_columns(columns)
    unused = plan.unused(columns)
    if unused:
        _tell(f"unused columns: {', '.join(unused)}", options)


def resume_command(*more: str) -> str:
    """Return the command that resumes this run."""
    kept = [word for word in without_secrets(sys.argv[1:]) if word not in _ONCE]
    return shlex.join(["triojob", *kept, "--resume", *more])


_ONCE = ("--resume", "--retry-failed")


def stopped(options: MapOptions) -> str:
    """Return the message after Ctrl-C."""
    if is_stream(options.output):
        return "Stopped."
    if options.source == "-":
        return f"Stopped. To resume, give the same standard input to: {resume_command()}"
    return f"Stopped. To resume, run: {resume_command()}"


def make_retry(attempts: int, *, idempotent: bool) -> Retry:
    """Return the retry policy of rows."""
    return replace(ROW_RETRY, attempts=attempts, idempotent=idempotent)
