"""``triojob call``: one call, whose outputs are written as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from rich.text import Text

from triojob import Job, JobGroup, LogMessage, StatusUpdate

from .._durable.outputs import Saver, as_data, files_in
from .._live._rendering import describe, progress
from .._live._text import one_line
from .arguments import read_arguments, read_stdin
from .connecting import Connection, time_limit
from .ending import CommandError
from .screen import screen
from .terminal import Stdout, as_text


@dataclass(frozen=True)
class CallOptions:
    """The options of the command line."""

    endpoint: str | None
    arguments: Sequence[str]
    as_json: bool
    files: str | None
    """A folder, ``"-"`` for standard output, or None to leave them with the app."""
    timeout: float | None
    quiet: bool


async def call(connection: Connection, options: CallOptions) -> int:
    """Make the call; return the exit code.

    Raises:
        CommandError: An argument is invalid.
        TriojobError: The call failed.
        OSError: A file can't be written.
    """
    what = options.endpoint or "the call"
    stdin = await read_stdin(options.arguments)
    with time_limit(options.timeout, what):
        async with connection.open() as client:
            endpoint = client.endpoint(options.endpoint)
            values = read_arguments(endpoint._info, options.arguments, stdin)
            with closing(StatusLine(quiet=options.quiet)) as status:
                async with JobGroup() as group:
                    try:
                        job = group.submit(endpoint, **values)
                    except (TypeError, ValueError) as exc:
                        raise CommandError(str(exc)) from None
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(status.follow, job)
                        await _show(job, options, status)
    return 0


async def _show(job: Job[Any], options: CallOptions, status: StatusLine) -> None:
    stdout = Stdout()
    if options.files == "-":
        await _copy_files(await job.result(), stdout)
        return
    saver = None if options.files is None else Saver(Path(options.files))
    saved = None if saver is None else saver.saved
    printer: _Lines | _Text = _Lines(stdout) if options.as_json else _Text(stdout)
    async for output in job:
        if saver is not None:
            await saver.save(output, final=False)
        status.stop_for(stdout)
        await printer.output(as_data(output, saved))
    result = await job.result()
    if saver is not None:
        await saver.save(result, final=True)
    await printer.end(as_data(result, saved))


async def _copy_files(result: Any, stdout: Stdout) -> None:
    """Write the files of a result to standard output, one after the other."""
    files = files_in(result)
    if not files:
        raise CommandError("--files -: the result contains no files")
    for file in files:
        async with file.open() as stream:
            await stdout.write_file(stream)


class _Lines:
    """Outputs as lines of JSON: ``{"output": ...}`` for each, then ``{"result": ...}``."""

    def __init__(self, stdout: Stdout) -> None:
        self._stdout = stdout

    async def output(self, value: Any) -> None:
        await self._stdout.write_line({"output": value})

    async def end(self, value: Any) -> None:
        await self._stdout.write_line({"result": value})


class _Text:
    """Outputs for people, each on its own lines; for a growing text, only its new part."""

    def __init__(self, stdout: Stdout) -> None:
        self._stdout = stdout
        self._shown: str | None = None

    async def output(self, value: Any) -> None:
        text, before = as_text(value, pretty=self._stdout.is_terminal), self._shown
        self._shown = text
        if before is None:
            await self._stdout.write(text)
        elif text.startswith(before) and isinstance(value, str):
            await self._stdout.write(text[len(before) :])
        else:
            await self._stdout.write(f"{_line_end(before)}{text}")

    async def end(self, value: Any) -> None:
        if as_text(value, pretty=self._stdout.is_terminal) != self._shown:
            await self.output(value)
        await self._stdout.write(_line_end(self._shown or ""))


def _line_end(text: str) -> str:
    return "" if text.endswith("\n") else "\n"


class StatusLine:
    """A line on the terminal that shows a job's status, until there is output to show."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._closed = quiet

    async def follow(self, job: Job[Any]) -> None:
        """Show a job's status, and the app's logs, until it ends."""
        async for update in job.updates():
            if isinstance(update, LogMessage):
                self._tell(update)
            elif isinstance(update, StatusUpdate) and not self._closed:
                screen().show(Text(_words_for(update)))

    def _tell(self, log: LogMessage) -> None:
        if not self._quiet:
            # Gradio's own title of a warning is "Warning".
            named = log.title and log.title.casefold() != log.level.casefold()
            title = f"{log.title}: " if named else ""
            screen().say(f"{log.level}: {title}{log.text}")

    def stop_for(self, stdout: Stdout) -> None:
        """Stop, if the outputs are shown on the same terminal."""
        if stdout.is_terminal:
            self.close()

    def close(self) -> None:
        """Remove the line."""
        if not self._closed:
            self._closed = True
            screen().clear()


def _words_for(status: StatusUpdate) -> str:
    words = [describe(status)[0], progress(status, 0)[1]]
    words += [one_line(unit.desc) for unit in status.progress_data or () if unit.desc]
    return "  ".join(filter(None, words))
