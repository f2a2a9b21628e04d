"""The call of one row, as a job: its attempts, its timeout, and its outcome in the store."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import trio
from outcome import Error, Outcome, Value

from .._core.call import Batch, Call, Submittable, bind
from .._core.messages import Status, StatusUpdate
from .._core.record import JobRecord
from .._core.retry import Retry
from .._core.runner import JobRunner
from .._core.runs import require_task
from .._exceptions import JobCancelled, TriojobError, error_words
from .encoding import to_json
from .failures import is_outage, kind_of
from .outputs import Saver, as_data, files_in
from .run import Run
from .unfinished import Numbered

R = TypeVar("R", bound=Numbered)


@dataclass
class Attempts:
    """The number of attempts for one row."""

    made: int = 1
    backoff: float | None = 0.0
    """Seconds before the next attempt, if the app is reachable; None for no further attempt."""

    def begin(self) -> float:
        """Begin an attempt; return the backoff before it."""
        backoff, self.backoff = self.backoff, None
        return backoff or 0.0


@dataclass(frozen=True)
class RowRetry(Retry):
    """A policy for one row: the run itself handles errors of a possibly unreachable app."""

    attempts_made: Attempts = field(default_factory=Attempts)

    def pause(
        self, error: BaseException, attempt: int, elapsed: float, chance: float
    ) -> float | None:
        """Return the backoff in seconds; count the attempt after that."""
        del attempt  # it counts from the time when the app was last reachable
        row = self.attempts_made
        seconds = super().pause(error, row.made, elapsed, chance)
        if is_outage(error):
            row.backoff = seconds
            return None
        if seconds is not None:
            row.made += 1
        return seconds


class RowCall(Call, Generic[R]):
    """The call of one row.

    Its job ends as the call of the function does, so that `triojob.live` shows it.
    The outcome is stored before anything else can see that the job has ended.
    """

    def __init__(self, run: Run[R], row: R) -> None:
        self.name = run.name
        self._run = run
        self._row = row
        self._attempts = Attempts()
        self._policy: RowRetry | None = None
        self._began = 0.0
        self._invalid = False
        """Whether the row is invalid: nothing was sent."""
        self._has_result = False
        """Whether the function has returned, so that its call must not be repeated."""
        self._saved: Mapping[str, Path] | None = None
        self._head: dict[str, Any] = {}
        """What is stored of the row, whatever its outcome."""
        self._digest = ""
        self._written = False
        self._returned = False
        """Whether the outcome is known in `run`; otherwise the job was cancelled."""

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        record = runner.record
        record.listen("result", lambda _: self._on_ended(record))
        self._began = trio.current_time()
        try:
            self._identify()
            result, had_outage = await self._try(runner)
            self._store(result)
            self._run.count(self._row.index, is_evidence=not had_outage)
        except Exception as exc:  # noqa: BLE001 - the loop over the outcomes raises it
            self._run.stop(exc)
            result = Error(exc.with_traceback(None))  # its frames hold the job
        self._returned = True
        return result

    def _identify(self) -> None:
        """Read what identifies the row, before the call: without it, no outcome can be stored.

        Raises:
            Exception: The row has nothing that identifies it.
        """
        reader, row = self._run.reader, self._row
        self._head = {"row": row.index}
        if reader.has_key:
            self._head["key"] = reader.key(row)
        to_json(self._head)
        self._digest = reader.digest(row)

    def _on_ended(self, record: JobRecord) -> None:
        """Store an outcome that had arrived when the job was cancelled."""
        result = record.outcome
        assert result is not None
        if isinstance(result, Error):
            has_arrived = not isinstance(result.error, JobCancelled)
        else:
            has_arrived = not self._files_of(result.unwrap())
        if has_arrived and not self._returned:
            try:
                self._store(result)
            except Exception as exc:  # noqa: BLE001 - as above
                self._run.stop(exc)
        # The store has the failures of rows, and the loop raises all others.
        record.retrieve()

    async def _try(self, runner: JobRunner) -> tuple[Outcome[Any], bool]:
        """Call the function until there is an outcome.

        Returns:
            The outcome, and whether the app was unreachable at the last attempt.
        """
        app, attempts = self._run.app, self._attempts
        timeout = seconds = self._run.settings.timeout or math.inf
        while True:
            if app is not None:
                await app.ready()
            backoff = attempts.begin()
            began = trio.current_time()
            result: Outcome[Any] = Error(trio.TooSlowError())
            with trio.move_on_after(seconds) as limit:
                await trio.sleep(backoff)
                result = await self._attempt(runner)
            if limit.cancelled_caught:
                return Error(
                    trio.TooSlowError(f"{self.name} took longer than {timeout:g} s (timeout)")
                ), False
            if app is None or not isinstance(result, Error) or not is_outage(result.error):
                return result, False
            error = result.error
            may_repeat = self._may_repeat(error)
            if not may_repeat:
                self._store(result)  # at once, as an outage can be long
            had_outage = await app.confirm(error)
            if not may_repeat or not (had_outage or attempts.backoff is not None):
                return result, had_outage
            if had_outage:
                # The outage counts neither toward the row's time nor as an attempt.
                seconds, attempts.backoff = timeout, 0.0
            else:
                seconds -= trio.current_time() - began
                attempts.made += 1
            runner.add(StatusUpdate(Status.STARTING))

    def _may_repeat(self, error: BaseException) -> bool:
        return (
            self._policy is not None
            and not self._has_result
            and self._policy.may_repeat(error, stateful=self._run.stateful)
        )

    async def _attempt(self, runner: JobRunner) -> Outcome[Any]:
        """Call the function once, or as often as its own retries do."""
        run = self._run
        try:
            args, kwargs = run.reader.arguments_of(self._row)
        except (TypeError, ValueError) as exc:
            self._invalid = True
            return Error(exc)
        try:
            call = bind(run.fn, args, kwargs, "durable_map", batch=run.batch)
        except (TypeError, ValueError, OSError) as exc:
            if not run.is_endpoint:
                raise  # all rows are passed in this way
            self._invalid = kind_of(exc) != "auth_error"
            return Error(exc)
        try:
            require_task(call.name, call.token)
            policy = call.retry or run.settings.retry
            if policy is not None:
                call.retry = self._policy = RowRetry(**asdict(policy), attempts_made=self._attempts)
            runner.record.url = call.url
            result = await call.run(runner)
        except Exception as exc:  # noqa: BLE001 - it is the outcome of the row
            return Error(exc.with_traceback(None))
        finally:
            call.discard()
        if isinstance(result, Value) and self._files_of(result.value):
            self._has_result = True
            try:
                await self._save(result.value)
            except TriojobError as exc:
                return Error(exc.with_traceback(None))
        return result

    def _files_of(self, value: Any) -> bool:
        """Return whether an output has files to save."""
        return self._run.settings.files is not None and bool(files_in(value))

    async def _save(self, value: Any) -> None:
        assert self._run.settings.files is not None
        folder = self._run.settings.files / f"row-{self._row.index}"
        if folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        saver = Saver(folder)
        await saver.save(value, final=True)
        self._saved = saver.saved

    def _store(self, result: Outcome[Any]) -> None:
        """Store the outcome, unless it is stored.

        Raises:
            OSError, StoreError: It can't be stored.
            Exception: The failure, if no row causes it.
        """
        if self._written:
            return
        record, line = self._record_of(result)
        self._run.write(record, line)
        self._written = True

    def _record_of(self, result: Outcome[Any]) -> tuple[dict[str, Any], str]:
        """Return what to store of an outcome, and its line of JSON."""
        if isinstance(result, Value):
            try:
                return self._encode("ok", {"result": as_data(result.value, self._saved)})
            except TriojobError as exc:
                result = Error(exc)
            except (TypeError, ValueError, RecursionError) as exc:
                return self._encode_failure(
                    "error", exc, f"the result is not JSON data: {error_words(exc)}"
                )
        error = cast("Error", result).error
        kind = "invalid_input" if self._invalid else kind_of(error)
        if kind is None:
            if self._run.is_endpoint:
                raise error
            kind = "error"
        return self._encode_failure(kind, error, self._run.describe(error))

    def _encode_failure(
        self, kind: str, error: BaseException, message: str
    ) -> tuple[dict[str, Any], str]:
        return self._encode(kind, {"error": {"class": type(error).__name__, "message": message}})

    def _encode(self, kind: str, what: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        record = {
            **self._head,
            "outcome": kind,
            **what,
            "attempts": self._attempts.made,
            "seconds": round(trio.current_time() - self._began, 6),
            "input": self._digest,
        }
        return record, to_json(record)


class RowCaller(Submittable, Generic[R]):
    """What a run submits for each row."""

    def __init__(self, run: Run[R]) -> None:
        self.name = run.name
        self._run = run

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        return RowCall(self._run, *args)
