"""How a command ends: its exit code, its final message, and the effect of Ctrl-C."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import cast

import click
import trio

from triojob import AppError, MissingDependency, StoreError, StoreMismatch, ValidationError

from .._durable.failures import describe, kind_of
from .._printable import printable_line
from .._secrets import scrub
from .exit_codes import (
    APP_ERROR,
    BUG,
    BUSY,
    CONNECTION,
    INTERRUPTED,
    LOCAL,
    LOGIN,
    MISSING,
    PIPE_CLOSED,
    TIMEOUT,
    USAGE,
)
from .terminal import write_json

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

logger = logging.getLogger("triojob")

CODES = {
    "timeout": TIMEOUT,
    "auth_error": LOGIN,
    "rate_limited": BUSY,
    "invalid_input": USAGE,
    "connection": CONNECTION,
    "local": LOCAL,
    "app_error": APP_ERROR,
    "error": APP_ERROR,
    "cancelled": APP_ERROR,
}
"""The exit codes of calls, by the outcome that a row has if its call fails in that way."""


_OPTIONS = {
    "with api_name=": "as ENDPOINT",
    "pass auth=(user, password) to Client": "pass --auth USER",
    "auth=(user, password)": "--auth USER",
    "headers=": "--header",
    "max_size=": "--max-size",
    "repeats=True": "--repeats",
    "pass retry=Retry(), or call later": "call later",
    "check hf_endpoint= and HF_ENDPOINT": "check HF_ENDPOINT",
    "hf_endpoint=": "HF_ENDPOINT",
    "pass resume=True": "add --resume",
    "store=": "--output",
    "max_failures": "--max-failures",
    "max_outage": "--max-outage",
    "(timeout)": "(--timeout)",
    "Client(oauth_token=...)": "--oauth-token TOKEN",
    "token=True": "--token saved",
    "token=": "--token",
    'Client("owner/name")': "owner/name",
}
"""The names of settings in messages, and on the command line."""
_SETTING = re.compile(
    rf"(?<![\w?&-])(?:{'|'.join(map(re.escape, _OPTIONS))})"
    r"|\ ?\((?:Timeouts|Limits)\.\w+(?:\ sets\ the\ limit)?\)"
)
"""Fields of `Timeouts` and `Limits` without an option."""


class CommandError(click.ClickException):
    """Ends a command with a message for people and a code for scripts."""

    def __init__(self, message: str, exit_code: int = USAGE) -> None:
        super().__init__(scrub(message, ours=True))  # it may contain names from the app
        # Click declares it as a class attribute, and reads it from the exception.
        self.__dict__["exit_code"] = exit_code


def code_of(error: BaseException) -> int | None:
    """Return the exit code for a failure, or None for a bug."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, StoreError):
        return USAGE if isinstance(error, StoreMismatch) else LOCAL
    if isinstance(error, MissingDependency):
        return MISSING
    kind = kind_of(error)
    return None if kind is None else CODES[kind]


def words_for(error: BaseException) -> str:
    """Describe a failure in one sentence, with options in place of Python's parameters."""
    words = describe(error)
    if isinstance(error, (AppError, ValidationError)) or getattr(error, "strerror", None):
        return words  # the app's own message, or the system's
    return in_options(words)


def in_options(words: str) -> str:
    """Replace parameters of `Client` in a message with options of the command line."""
    return _SETTING.sub(lambda match: _OPTIONS.get(match[0], ""), words)


def run(
    main: Callable[[], Awaitable[int]],
    *,
    as_json: bool = False,
    stopped: Callable[[], str] = lambda: "Cancelled.",
) -> int:
    """Run a command to its end, however it ends; return the exit code.

    Ctrl-C and SIGTERM cancel it, so that everything ends in order: calls are cancelled on the
    server too.  A second signal ends it at once.

    Args:
        main: Returns the exit code of a command that has not failed.
        as_json: Whether to also report a failure as the last line of standard output.
        stopped: The message after Ctrl-C.
    """
    try:
        code, number = trio.run(_until_signal, main)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as raised:
        # The first of several simultaneous failures causes the others.
        errors = _leaves(raised)
        error = next((item for item in errors if code_of(item) is not None), errors[0])
        if any(isinstance(item, KeyboardInterrupt) for item in errors):
            return INTERRUPTED
        if isinstance(error, BrokenPipeError):
            return _be_quiet()
        if any(isinstance(item, (SystemExit, GeneratorExit)) for item in errors):
            raise
        if code_of(error) is None:
            logger.debug("the command failed", exc_info=raised)
        return _report(error, as_json=as_json)
    if number:
        click.echo(stopped(), err=True)
        return 128 + number
    return code


def _report(error: BaseException, *, as_json: bool) -> int:
    code, kind = code_of(error), type(error).__name__
    message = error.message if isinstance(error, CommandError) else words_for(error)
    if code is None:
        code = BUG
        message = f"unexpected {kind}: {message}; run with --verbose for the traceback"
    if as_json:
        try:
            write_json({"error": {"class": kind, "message": message, "exit_code": code}})
        except BrokenPipeError:
            return _be_quiet()
    show_error(message)
    return code


def show_error(message: str) -> None:
    """Write an error as one line on standard error."""
    click.echo(f"Error: {printable_line(message)}", err=True)


def _be_quiet() -> int:
    """End like a program that is killed by SIGPIPE."""
    # Python would try again to write the rest, and print an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


async def _until_signal(main: Callable[[], Awaitable[int]]) -> tuple[int, int]:
    """Return the exit code and the received signal, of which one is 0."""
    signals: list[int] = []
    code = 0
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            await nursery.start(cancel_on_signal, scope, signals)
            code = await main()
        nursery.cancel_scope.cancel(reason="the command has ended")
    # A command that ended in spite of the cancellation has succeeded.
    return (0, signals[0]) if scope.cancelled_caught else (code, 0)


async def cancel_on_signal(
    scope: trio.CancelScope,
    signals: list[int],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Turn Ctrl-C and SIGTERM into a cancellation, so that everything ends in order.

    Only once: afterwards the signals have their usual effect, in case the end takes too long.
    """
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for number in received:
            signals.append(number)
            break
    scope.cancel(reason=f"got {signal.Signals(signals[0]).name}")


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    group = cast("BaseExceptionGroup[BaseException]", error)
    return [leaf for part in group.exceptions for leaf in _leaves(part)]
