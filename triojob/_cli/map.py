"""``triojob map``: a call for each row of a file, several at once, in a run that can be resumed."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

import triojob
from triojob import Endpoint, Job, JobCancelled, JobGroup, Limits, Retry, TriojobError

from .._live._report import ReportFile
from .arguments import read_stdin
from .connecting import Connection, without_secrets
from .ending import CommandError, code_of, words_for
from .exit_codes import APP_ERROR, BUSY, CONNECTION, LOCAL, LOGIN, MISSING, TIMEOUT, USAGE
from .ledger import Ledger
from .outage import Reachability, is_outage
from .outputs import Saver, as_data, files_in
from .plan import Plan, PlanOptions
from .progress import Progress
from .report import MapReport
from .rows import Reading, Row, Rows, open_rows
from .screen import screen
from .source import Source
from .streams import Stream, is_stream, open_stream
from .terminal import write_json

_KINDS = {
    APP_ERROR: "app_error",
    USAGE: "invalid_input",
    CONNECTION: "connection",
    TIMEOUT: "timeout",
    LOGIN: "auth_error",
    BUSY: "rate_limited",
    LOCAL: "local",
    MISSING: "local",
}
"""The outcomes of failed rows, by the exit code that a single call would have."""


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
                # Rows with a timeout are stopped one by one; see Endpoint.in_shared_session.
                alone = options.timeout is not None
                with nullcontext(endpoint) if alone else endpoint.in_shared_session() as called:
                    run = _Run(options, rows, plan, called, sink, ask=partial(_ask, connection))
                    if file is not None:
                        before = sink.finished.rows.count
                        run.report = MapReport(file, client, endpoint.name, before)
                    return await run.run()


_USUAL_STREAMS = 256


async def _ask(connection: Connection) -> None:
    async with connection.open():
        pass


async def _open_sink(options: MapOptions, made_by: Mapping[str, str]) -> Ledger | Stream:
    if is_stream(options.output):
        return await open_stream(options.output)
    make = partial(
        Ledger,
        options.output,
        made_by,
        may_differ=("url",) if options.allow_url_change else (),
        resume=options.resume,
        retry_failed=options.retry_failed,
    )
    # In a thread: it reads an existing output.
    return await trio.to_thread.run_sync(make)


@dataclass
class _Attempts:
    """The number of attempts for one row."""

    made: int = 1
    pause: float | None = 0.0
    """Seconds before the next attempt, if the app is reachable; None for no further attempt."""


@dataclass(frozen=True)
class _RowRetry(Retry):
    """A policy for one row: the run itself handles errors of a possibly unreachable app."""

    attempts_made: _Attempts = field(default_factory=_Attempts)

    def pause(
        self, error: BaseException, attempt: int, elapsed: float, chance: float
    ) -> float | None:
        """Return the backoff in seconds; count the attempt after that."""
        del attempt  # it counts from the time when the app was last reachable
        row = self.attempts_made
        seconds = super().pause(error, row.made, elapsed, chance)
        if is_outage(error):
            row.pause = seconds
            return None
        if seconds is not None:
            row.made += 1
        return seconds


class _Outcome:
    """The outcome of one row."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.kind: str | None = None
        """``"ok"`` or the kind of failure; None while it is not known."""
        self.result: Any = None
        self.error: dict[str, str] | None = None
        self.seconds = 0.0
        self.outage: BaseException | None = None
        """The error of the last attempt, if the app may be unreachable."""
        self._began = trio.current_time()

    @property
    def known(self) -> bool:
        """Whether the outcome is known."""
        return self.kind is not None

    def forget_outage(self) -> None:
        """Begin another attempt."""
        self.outage = None

    def succeed(self, result: Any) -> None:
        """Note a success."""
        self.kind, self.result = "ok", result
        self.seconds = trio.current_time() - self._began

    def fail(self, kind: str, error: BaseException, words: str | None = None) -> None:
        """Note a failure."""
        self.kind = kind
        self.error = {"class": type(error).__name__, "message": words or words_for(error)}
        self.seconds = trio.current_time() - self._began


class _Run:
    """One run: the calls of its rows, their shared state, and its end."""

    def __init__(
        self,
        options: MapOptions,
        rows: Rows,
        plan: Plan,
        endpoint: Endpoint,
        sink: Ledger | Stream,
        *,
        ask: Callable[[], Awaitable[None]],
    ) -> None:
        self._options = options
        self._plan = plan
        self._endpoint = endpoint
        self._sink = sink
        self._source = Source(
            rows,
            plan,
            sink.finished,
            output=options.output,
            digests_of=sink.digests_of,
            on_columns=lambda columns: _check_columns(plan, columns, options),
        )
        self._app = Reachability(
            ask,
            max_outage=options.max_outage,
            say=lambda words: _tell(words, options),
            advice=self._advice,
        )
        self._progress = Progress(
            self._app,
            before=sink.finished.rows.count,
            estimate=lambda: rows.estimate(self._source.read),
            is_exact=rows.total is not None,
            quiet=options.quiet or sink.is_screen,
        )
        self.report: MapReport | None = None
        self._failed_in_a_row = 0
        self._last_code = 0
        self._last_error = ""

    async def run(self) -> int:
        """Run to the end of the input; return the exit code."""
        failure: CommandError | None = None
        state = "interrupted"
        limit, rate = self._options.limit, self._options.rate
        try:
            async with trio.open_nursery() as background:
                background.start_soon(self._sink.keep_synced)
                background.start_soon(self._progress.show)
                if self.report is not None:
                    background.start_soon(self.report.run)
                calls = triojob.map(self._call, self._source, limit=limit, rate=rate, ordered=False)
                async with calls as ended:
                    try:
                        async for _ in ended:
                            # Each row has written its own line, at the moment it was finished.
                            self._source.stopped = self._gave_up
                        state = "stopped by --max-failures" if self._gave_up else "finished"
                    except CommandError as exc:
                        failure, state = exc, exc.format_message()
                background.cancel_scope.cancel(reason="all rows are done")
        finally:
            # Also after an interruption: show the progress so far.
            if failure is None or self._progress.done:
                self._summarize()
            if self.report is not None:
                self.report.write(state)
        if failure is not None:
            raise failure
        return self._end()

    def _end(self) -> int:
        if self._gave_up:
            raise CommandError(
                f"stopped after {self._failed_in_a_row} consecutive failed rows (--max-failures), "
                f"the last with {self._last_error}; {self._advice()}",
                self._last_code,
            )
        return APP_ERROR if self._progress.failed + self._sink.finished.failed else 0

    def _advice(self) -> str:
        if is_stream(self._options.output):
            return "only a run with --output FILE can be resumed"
        if self._progress.failed:
            words = "to resume and retry failed rows, run"
            return f"{words}: {resume_command('--retry-failed')}"
        return f"to resume, run: {resume_command()}"

    @property
    def _gave_up(self) -> bool:
        return 0 < self._options.max_failures <= self._failed_in_a_row

    def _summarize(self) -> None:
        progress, before = self._progress, self._sink.finished
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

    async def _call(self, row: Row) -> None:
        outcome = _Outcome(row)
        attempts = _Attempts()
        retry = _RowRetry(**asdict(self._options.retry), attempts_made=attempts)
        timeout = seconds = self._options.timeout or float("inf")
        while True:
            await self._app.ready()
            had_outage = False
            outcome.forget_outage()
            pause, attempts.pause = attempts.pause or 0.0, None
            began = trio.current_time()
            try:
                with trio.move_on_after(seconds) as limit:
                    await trio.sleep(pause)
                    await self._attempt(outcome, retry)
                if limit.cancelled_caught and not outcome.known:
                    words = f"{self._endpoint.name} took longer than {timeout:g} s (--timeout)"
                    outcome.fail("timeout", trio.TooSlowError(), words)
            finally:
                # Also during a cancellation: rows that are finished stay finished.
                if outcome.known:
                    self._write(outcome, attempts.made)
            error = outcome.outage
            if error is None:
                break
            if await self._app.confirm(error):
                # The outage counts neither toward the row's time nor as an attempt.
                seconds, attempts.pause, had_outage = timeout, 0.0, True
            elif not outcome.known and attempts.pause is None:
                self._fail(outcome, error)
                self._write(outcome, attempts.made)
            else:
                seconds -= trio.current_time() - began
                attempts.made += 1
            if outcome.known:
                break
        # Only now: attempts during an outage do not count as evidence about the rows.
        is_good = outcome.kind == "ok" or had_outage
        self._failed_in_a_row = 0 if is_good else self._failed_in_a_row + 1
        await self._sink.flush()

    async def _attempt(self, outcome: _Outcome, retry: _RowRetry) -> None:
        """Make the call and note its outcome; a cancelled one has none."""
        try:
            arguments = self._plan.arguments(outcome.row)
        except ValueError as exc:
            outcome.fail("invalid_input", exc)
            return
        # A group for each row: cancelling the row cancels the group, and so the call.
        async with JobGroup(history=0, retry=retry) as group:
            try:
                job = group.submit(self._endpoint, **arguments)
            except (TypeError, ValueError, OSError) as exc:
                is_login = code_of(exc) == LOGIN
                outcome.fail("auth_error" if is_login else "invalid_input", exc)
                return
            job.on_result(lambda ended: self._settle(outcome, ended, retry))
            await job.wait()
            if outcome.kind is None and outcome.outage is None:
                await self._settle_later(outcome, job)

    def _settle(self, outcome: _Outcome, job: Job[Any], retry: Retry) -> None:
        """Note the outcome at once, unless files or a cancellation's cause must be awaited."""
        error = job.exception()
        if error is None:
            result = job.outcome.unwrap() if job.outcome is not None else None
            try:
                if self._options.files is None or not files_in(result):
                    outcome.succeed(as_data(result))
            except TriojobError as exc:
                self._fail(outcome, exc)
        elif is_outage(error) and retry.may_repeat(error, stateful=self._plan.stateful):
            outcome.outage = error
        elif not isinstance(error, JobCancelled):
            self._fail(outcome, error)

    def _fail(self, outcome: _Outcome, error: BaseException) -> None:
        code = code_of(error)
        if code is None:
            raise error
        outcome.fail(_KINDS[code], error)
        if is_outage(error):
            outcome.outage = error

    async def _settle_later(self, outcome: _Outcome, job: Job[Any]) -> None:
        error = job.exception()
        if error is not None:
            # Not cancelled by this run: otherwise this task would have been cancelled too.
            outcome.fail("cancelled", error)
            return
        assert self._options.files is not None
        result = await job.result()
        folder = Path(self._options.files) / f"row-{outcome.row.index}"
        if folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        saver = Saver(folder)
        try:
            await saver.save(result, final=True)
        except TriojobError as exc:
            self._fail(outcome, exc)
        else:
            outcome.succeed(as_data(result, saver.saved))

    def _write(self, outcome: _Outcome, attempts: int) -> None:
        row = outcome.row
        record: dict[str, Any] = {"row": row.index}
        if self._plan.has_key:
            record["key"] = self._plan.key(row)
        record["outcome"] = outcome.kind
        if outcome.error is None:
            record["result"] = outcome.result
        else:
            record["error"] = outcome.error
        record["attempts"] = attempts
        record["seconds"] = round(outcome.seconds, 6)
        record["input"] = self._plan.digest(row)
        self._sink.write(record)
        if self.report is not None:
            self.report.add(record)
        self._progress.add(outcome.kind or "", row.index, outcome.error)
        if outcome.error is not None:
            self._last_error = ": ".join(outcome.error.values())
            self._last_code = next(
                (code for code, kind in _KINDS.items() if kind == outcome.kind), APP_ERROR
            )


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
    return replace(Retry(), attempts=attempts, timeout=None, wait_max=30.0, idempotent=idempotent)
