"""Turns a function into an endpoint's script: runs it as a job, and sends its messages."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, cast

import trio

from triojob import (
    AppError,
    Job,
    JobGroup,
    LogMessage,
    OutputUpdate,
    ProgressUnit,
    PropertyUpdate,
    StatusUpdate,
)

from ._calls import Call
from ._files import AppFiles
from ._server.event import Abandoned, GradioError
from ._signature import FunctionSignature

logger = logging.getLogger("triojob.testing")


class FunctionRun:
    """One run of an endpoint's function.

    The function is a job of a `JobGroup`, so that `triojob.report` works in it and that it can be
    cancelled like any other job; nothing of it outlives the run.
    """

    def __init__(
        self,
        call: Call,
        function: Callable[..., Any],
        signature: FunctionSignature,
        files: AppFiles,
    ) -> None:
        self._call = call
        self._event = call._event
        self._function = function
        self._signature = signature
        self._files = files
        self._progress: list[ProgressUnit] | None = None

    async def run(self, *, show_error: bool) -> None:
        """Run it to its end.

        Raises:
            GradioError: It failed.
            Abandoned: It yielded for a client that is gone.
            TypeError: It returned more or fewer values than it has outputs.
        """
        try:
            arguments = self._arguments()
        except ValueError as error:
            raise self._failure(error, show_error=show_error) from error
        abandoned = False
        failure: BaseException | None = None
        result: Any = None
        async with JobGroup() as group:
            job = group.submit(_as_async(self._function), *arguments)
            try:
                await self._tell(job)
            except Abandoned:
                abandoned = True
                job.cancel("its client has disconnected")
            await job.wait()
            if not job.cancelled:
                failure = job.exception()
                result = None if failure else await job.result()
        if abandoned:
            raise Abandoned
        if failure is not None:
            raise self._failure(failure, show_error=show_error) from failure
        if not self._signature.streams:
            await self._event.completed(self._values(result))

    def _arguments(self) -> list[Any]:
        values: list[Any] = []
        inputs, data = self._signature.inputs, self._event.data
        if len(data) != len(inputs):
            raise ValueError(
                f"{self._call.endpoint} has {len(inputs)} inputs, but got {len(data)} values"
            )
        for name, component, value in zip(self._signature.names, inputs, data, strict=True):
            given = value
            if component.kind == "file":
                given = self._files.taken(value, Path if name in self._signature.paths else str)
            if not component.is_state:
                self._call.arguments[name] = given
            values.append(given)
        return values

    async def _tell(self, job: Job[Any]) -> None:
        async for update in job.updates():
            if isinstance(update, LogMessage):
                await self._event.log(update.text, level=update.level)
            elif isinstance(update, OutputUpdate):
                if self._signature.streams:
                    await self._event.generating(self._values(update.output))
            elif isinstance(update, StatusUpdate):
                await self._tell_progress(update)

    async def _tell_progress(self, update: StatusUpdate) -> None:
        units = update.progress_data
        if units is None or units is self._progress:
            return  # a status keeps the last reported progress
        self._progress = units
        await self._event.progress([asdict(unit) for unit in units])

    def _values(self, returned: Any) -> list[Any]:
        """Return one value for each output; record the call's values."""
        outputs = self._signature.outputs
        values: Sequence[Any] = (returned,)
        if len(outputs) != 1 and isinstance(returned, (tuple, list)):
            values = cast("Sequence[Any]", returned)
        elif not outputs and returned is None:
            values = ()
        if len(values) != len(outputs):
            raise TypeError(
                f"{self._call.endpoint} has {len(outputs)} outputs, but returned {len(values)} "
                "values"
            )
        seen = [value for value, output in zip(values, outputs, strict=True) if not output.skip_api]
        self._call.outputs.append(seen[0] if len(seen) == 1 else tuple(seen))
        return [
            self._sent(output.kind, value) for value, output in zip(values, outputs, strict=True)
        ]

    def _sent(self, kind: str, value: Any) -> Any:
        if isinstance(value, PropertyUpdate):
            return {"__type__": "update", **value}
        if kind == "file":
            return self._files.given(value)
        if kind == "textbox" and isinstance(value, (bool, int, float)):
            return str(value)
        return value

    def _failure(self, error: BaseException, *, show_error: bool) -> GradioError:
        self._call.exception = error
        if isinstance(error, AppError):
            # The title of a `gr.Error` without one.
            return GradioError(
                error.message,
                title=error.title or "Error",
                duration=10 if error.duration is None else error.duration,
                visible=error.visible,
            )
        logger.error("the function of the scripted %s raised", self._call.endpoint, exc_info=error)
        failure = GradioError(None)
        failure.output = {"error": str(error), "visible": True} if show_error else {"error": None}
        return failure


def _as_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an async function of a sync one; it runs in Trio's thread, so it must not block."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return function

    if inspect.isgeneratorfunction(function):

        @wraps(function)
        async def run_generator(*args: Any) -> Any:
            for value in function(*args):
                await trio.lowlevel.checkpoint()
                yield value

        return run_generator

    @wraps(function)
    async def run(*args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return function(*args)

    return run
