"""The options with which every command reaches an app, and the client that they make."""

from __future__ import annotations

import functools
import logging
import signal
import ssl
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import trio

from triojob import Client, SpaceStatus

from ..gradio.http.urls import public_part
from .ending import CommandError, in_options
from .screen import screen

_SECRET = "@FILE reads it from a file, so that it is not shown in the list of processes."  # noqa: S105 - no secret

SECRET_OPTIONS = ("--auth", "--token", "--oauth-token", "--header", "--secret")

_OPTIONS = (
    click.option(
        "--auth",
        envvar="TRIOJOB_AUTH",
        metavar="USER[:PASSWORD]",
        help="Log in.  Without a password, triojob prompts for it.  "
        f"{_SECRET}  [env: TRIOJOB_AUTH]",
    ),
    click.option(
        "--token",
        envvar="TRIOJOB_TOKEN",
        metavar="TOKEN",
        help="A Hugging Face token with access to the Space; `saved` uses the token that is saved "
        f"on this machine.  {_SECRET}  [env: TRIOJOB_TOKEN]",
    ),
    click.option(
        "--oauth-token",
        envvar="TRIOJOB_OAUTH_TOKEN",
        metavar="TOKEN",
        help="A Hugging Face token with which the app's code acts on your behalf; takes the same "
        "values as --token.  [env: TRIOJOB_OAUTH_TOKEN]",
    ),
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME:VALUE",
        help=f"A header to send with each request; repeatable.  {_SECRET}",
    ),
    click.option("--ca", metavar="FILE", help="Trust the certificates in this file (PEM)."),
    click.option("--insecure", is_flag=True, help="Don't verify the server's certificate."),
    click.option("-v", "--verbose", is_flag=True, help="Log to standard error what triojob does."),
)


@dataclass(frozen=True)
class Connection:
    """An app's URL, and the credentials for it."""

    url: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    oauth_token: str | None = field(default=None, repr=False)
    headers: tuple[str, ...] = field(default=(), repr=False)
    ca: str | None = None
    insecure: bool = False

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncGenerator[Client, None]:
        """Open the client.

        Args:
            options: More options of `Client`.

        Raises:
            CommandError: The options are invalid.
            TriojobError: The app can't be reached; see `Client`.
        """
        try:
            client = Client(self.url, **self.client_options(), download_files=False, **options)
        except ValueError as exc:
            raise CommandError(str(exc)) from None
        async with client:
            yield client

    def client_options(self) -> dict[str, Any]:
        """Return the options of `Client` that these are.

        Raises:
            CommandError: They are invalid.
        """
        return {
            "auth": self.login,
            "token": _token(self.token),
            "oauth_token": read_secret("--oauth-token", self.oauth_token),
            "headers": dict(self._headers()),
            "verify": self._tls(),
            "on_wait": _tell_of_space,
        }

    def _headers(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for given in self.headers:
            lines = (
                read_secret("--header", given).splitlines() if given.startswith("@") else [given]
            )
            for line in filter(str.strip, lines):
                name, colon, value = line.partition(":")
                if not colon:
                    raise CommandError(
                        "write --header as NAME:VALUE or @FILE; a header needs a colon"
                    )
                found.append((name.strip(), value.strip()))
        return found

    def _tls(self) -> bool | ssl.SSLContext:
        if self.insecure and self.ca is not None:
            raise CommandError("use --ca or --insecure, not both")
        if self.ca is None:
            return not self.insecure
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as exc:  # an ssl.SSLError is one too
            raise CommandError(f"--ca: can't read certificates from {self.ca}: {exc}") from None


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Return a command line without the secrets in its options, for display."""
    shown: list[str] = []
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if before in SECRET_OPTIONS:
            shown.append(_hidden(before, argument))
        elif equals and option in SECRET_OPTIONS:
            shown.append(f"{option}={_hidden(option, value)}")
        elif argument.startswith(("http://", "https://")):
            shown.append(public_part(argument))
        else:
            shown.append(argument)
        before = "" if before in SECRET_OPTIONS else argument
    return shown


def _hidden(option: str, value: str) -> str:
    if value.startswith("@") or value == "saved":
        return value
    shown, colon, _ = value.partition(":")
    if option == "--auth":
        return shown
    return f"{shown}: ..." if option == "--header" and colon else "..."


def connects(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command; it receives a `Connection` in the place of URL and options."""

    @functools.wraps(command)
    def wrapper(
        *,
        url: str,
        auth: str | None,
        token: str | None,
        oauth_token: str | None,
        headers: tuple[str, ...],
        ca: str | None,
        insecure: bool,
        verbose: bool,
        **rest: Any,
    ) -> Any:
        # Prompt before Trio runs, which would keep Ctrl-C from the prompt.
        try:
            login = read_login(auth, ask=True)
        except click.Abort:
            if not sys.stdin.isatty():
                raise CommandError(
                    "--auth USER can't prompt for a password, because standard input is not a "
                    "terminal; use TRIOJOB_AUTH or --auth @FILE"
                ) from None
            click.get_current_context().exit(128 + signal.SIGINT)
        connection = Connection(url, login, token, oauth_token, headers, ca, insecure=insecure)
        with log_to_stderr(verbose=verbose):
            return command(connection, **rest)

    decorated: Callable[..., Any] = wrapper
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def read_login(given: str | None, *, ask: bool) -> tuple[str, str] | None:
    """Return user name and password, or None if there are none.

    Args:
        given: The value of ``--auth``.
        ask: Whether to prompt for a missing password; otherwise there is no login.

    Raises:
        CommandError: It is invalid.
        Abort: Ctrl-C at the prompt.
    """
    if not given:
        return None
    user, colon, password = read_secret("--auth", given).partition(":")
    if not user:
        raise CommandError("write --auth as USER, USER:PASSWORD or @FILE")
    if not colon:
        if not ask:
            return None
        password = click.prompt(f"Password for {user}", hide_input=True, err=True)
    return user, password


def read_secret(option: str, given: str | None) -> Any:
    """Return a secret that was given directly, or as the file that contains it."""
    if not given or not given.startswith("@"):
        return given or None
    try:
        return Path(given[1:]).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as exc:
        raise CommandError(f"{option}: {exc.strerror}: {given[1:]!r}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{option}: {given[1:]!r} is not valid UTF-8") from None


def _token(given: str | None) -> str | bool | None:
    token: str | None = read_secret("--token", given)
    return True if token == "saved" else token  # noqa: S105 - no secret


def _tell_of_space(status: SpaceStatus) -> None:
    if not status.ready:
        screen().say(f"{status.space} is {status.stage}; waiting for {status.waited:.0f} s so far")


class _Handler(logging.Handler):
    """Writes triojob's logs above the changing line, instead of into it.

    Args:
        all_records: Whether to write all of them.  If not, only the first of each kind is written,
            and `finish` writes how many followed: an outage concerns every call in flight.
    """

    def __init__(self, *, all_records: bool) -> None:
        super().__init__()
        self._all_records = all_records
        self._firsts: dict[str, str] = {}
        self._followed: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        kind = str(record.msg)  # without the id of a job and other arguments
        if kind in self._firsts and not self._all_records:
            self._followed[kind] += 1
            return
        try:
            self._firsts[kind] = in_options(self.format(record))
            screen().say(self._firsts[kind])
        except OSError:
            self.handleError(record)

    def finish(self) -> None:
        """Write how many records were left out."""
        with suppress(OSError):  # like `emit`: a closed stderr does not fail the command
            for kind, count in self._followed.items():
                screen().say(f"{self._firsts[kind]} (and {count:,} more)")


@contextmanager
def log_to_stderr(*, verbose: bool) -> Generator[None, None, None]:
    """Write warnings to standard error, or if ``verbose`` all of triojob's logs."""
    handler = _Handler(all_records=verbose)
    logger = logging.getLogger("triojob")
    before = logger.level
    if verbose:
        logger.setLevel(logging.DEBUG)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    else:
        handler.setLevel(logging.WARNING)
        handler.setFormatter(logging.Formatter("warning: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.finish()


@contextmanager
def time_limit(seconds: float | None, what: str) -> Generator[None, None, None]:
    """Cancel the body after ``seconds``.

    Raises:
        TooSlowError: It was cancelled.
    """
    if seconds is None:
        yield
        return
    with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise trio.TooSlowError(f"{what} took longer than {seconds:g} s (--timeout)")
