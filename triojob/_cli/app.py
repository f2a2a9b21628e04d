"""The commands."""

from __future__ import annotations

import errno
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from triojob import __version__

from .call import CallOptions, call as run_call
from .completion import complete_arguments, script_for
from .connecting import Connection, connects
from .demo import DemoError, Options, run
from .doctor import DoctorOptions, doctor as run_doctor
from .ending import CommandError, run as run_command, show_error
from .exit_codes import INTERRUPTED, MISSING, PIPE_CLOSED
from .info import info as run_info
from .map import MapOptions, make_retry, map_rows, stopped
from .plan import PlanOptions
from .record import record as run_record, replay as run_replay
from .rows import Format, Reading
from .streams import is_stdout
from .stubs import stubs as run_stubs

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_url_argument = click.argument("url", metavar="URL")


def _timeout_option(what: str) -> Callable[..., Any]:
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"How long to wait {what}.  [default: no limit]",
    )


def _exit(code: int) -> NoReturn:
    click.get_current_context().exit(code)


class _Commands(click.Group):
    """The commands; a command that fails prints at most one line of error."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command that the arguments name, and exit with its code."""
        code: Any = 0
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as exc:
            exc.show()
            code = exc.exit_code
        except click.UsageError as exc:
            # Click lists choices on separate lines.
            message = " ".join(exc.format_message().split())
            show_error(message if exc.ctx is None else f"{message} ({exc.ctx.command_path} --help)")
            code = exc.exit_code
        except click.ClickException as exc:
            show_error(exc.format_message())
            code = exc.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except OSError as exc:
            if exc.errno != errno.EPIPE:
                raise
            code = PIPE_CLOSED
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Call Gradio apps: one call, or thousands of them.

    URL is that of an app, such as http://127.0.0.1:7860, or the name of a Hugging Face Space,
    such as owner/name.

    \b
    Exit codes:
      0  success
      1  the app raised, some rows failed, or the doctor found a problem
      2  the command line is invalid: an option, an endpoint, an argument
      3  no connection, or the URL is not a Gradio app
      4  --timeout or a network timeout expired
      5  the app requires a login, or rejected yours
      6  the server refuses for now: its queue is full, or it limits the rate
      7  triojob cannot read or write a file on this machine
      8  an optional library is not installed
     70  a bug in triojob
    130  Ctrl-C     141  the reader of a pipe exited     143  SIGTERM

    Start with: triojob demo
    """


@cli.command()
@_url_argument
@click.argument("endpoint", required=False, shell_complete=complete_arguments)
@click.option("--all", "all_endpoints", is_flag=True, help="Include undocumented endpoints.")
@_json_option
@_timeout_option("for the app's description")
@connects
def info(
    connection: Connection,
    endpoint: str | None,
    timeout: float | None,
    *,
    all_endpoints: bool,
    as_json: bool,
) -> None:
    """Show what an app offers: endpoints, parameters, examples to paste.

    With ENDPOINT only that one, and the example for Python is a whole script.
    """
    main = partial(
        run_info,
        connection,
        endpoint,
        all_endpoints=all_endpoints,
        as_json=as_json,
        timeout=timeout,
    )
    _exit(run_command(main, as_json=as_json))


@cli.command()
@_url_argument
@click.argument(
    "words", nargs=-1, metavar="[ENDPOINT] [NAME=VALUE]...", shell_complete=complete_arguments
)
@click.option(
    "--files",
    metavar="DIR",
    help="Save the files of the outputs in this folder; `-` writes the files of the result, and "
    "nothing else, to standard output.  Without this option, outputs contain URLs.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help='Print lines of JSON: {"output": ...} for each output, then {"result": ...} or '
    '{"error": ...}.',
)
@click.option("-q", "--quiet", is_flag=True, help="Hide the status and the app's log lines.")
@_timeout_option("for the whole call")
@connects
def call(
    connection: Connection,
    words: tuple[str, ...],
    files: str | None,
    timeout: float | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Call an endpoint and write its outputs as they come.

    ENDPOINT may be left out if the app has only one.

    \b
    name=text      as the parameter takes it: a text, a number, true or false, JSON;
                   for a list, repeat it: picks=one picks=two
    name:=json     JSON, whatever the parameter takes: n:=null, text:='"5"'
    name=@path     a file, or http(s) URL, for a parameter that takes files;
                   for others, the text that is in the file
    name=@-        the same from standard input
    name=@@text    a text that begins with @

    Status goes to standard error, and Ctrl-C cancels the call on the server too.
    """
    is_named = bool(words) and "=" not in words[0]
    options = CallOptions(
        endpoint=words[0] if is_named else None,
        arguments=words[1:] if is_named else words,
        as_json=as_json,
        files=files,
        timeout=timeout,
        quiet=quiet,
    )
    _exit(run_command(partial(run_call, connection, options), as_json=as_json))


@cli.command()
@_url_argument
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--call",
    "endpoint",
    metavar="ENDPOINT",
    help="At the end, call this endpoint with the arguments, as `triojob call` does.  "
    "Without it, no endpoint is called.",
)
@_json_option
@_timeout_option("for the whole examination")
@connects
def doctor(
    connection: Connection,
    arguments: tuple[str, ...],
    endpoint: str | None,
    timeout: float | None,
    *,
    as_json: bool,
) -> None:
    """Find out what is wrong with an app, and with what is between it and you.

    For example: triojob doctor https://example.com/app --call /greet name=Ada

    The requests are few and harmless.  It shows for each finding what it saw, what that means, and
    which setting to change on which side.  It takes about 20 seconds.

    The exit code is 0 if there is nothing wrong, and 1 if there are errors or warnings.
    """
    if arguments and endpoint is None:
        raise CommandError("arguments go with --call ENDPOINT")
    options = DoctorOptions(endpoint, arguments, timeout, as_json=as_json)
    _exit(run_command(partial(run_doctor, connection, options), as_json=as_json))


@cli.command("map")
@_url_argument
@click.argument(
    "words",
    nargs=-1,
    metavar="[ENDPOINT] [NAME=VALUE]...",
    shell_complete=complete_arguments,
)
@click.option(
    "--input",
    "source",
    required=True,
    metavar="FILE",
    type=click.Path(),
    help="The rows: .jsonl, .csv, .tsv or .parquet; `-` for standard input.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
    help="The input's format.  [default: by its suffix; jsonl for standard input]",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    help="What separates the columns; \\t is a tab.  [default: a comma; for tsv a tab]",
)
@click.option(
    "--encoding",
    metavar="NAME",
    default="utf-8",
    show_default=True,
    help="The input's encoding, such as utf-16 or cp1252; not for parquet.",
)
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(),
    help="Where the results go, a line of JSON for each row; `-` for standard output; .sqlite and "
    ".parquet for those formats.  "
    "FIFOs and devices can't be resumed.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="PARAMETER=COLUMN",
    help="Take a parameter from a column of another name; repeatable.",
)
@click.option(
    "--file-column",
    "file_columns",
    multiple=True,
    metavar="COLUMN",
    help="A column of paths or URLs of files to upload; repeatable.",
)
@click.option("--key", metavar="COLUMN", help="A column to copy into the output.")
@click.option("--files", metavar="DIR", help="Save the files of row 7 in DIR/row-7, and so on.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=16,
    show_default=True,
    help="The maximum number of calls in flight.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The maximum number of calls to start per second.  [default: no limit]",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="The maximum number of attempts for a row that the app did not start, as after a failed "
    "connection, a full queue or a rate limit.",
)
@click.option(
    "--idempotent",
    is_flag=True,
    help="Also retry a row that the app may have started, as when the connection breaks.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Stop after this many consecutive failed rows; 0 for never.",
)
@click.option(
    "--max-outage",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=600.0,
    show_default=True,
    help="How long to wait for an app that becomes unreachable; no calls start meanwhile.",
)
@click.option("--resume", is_flag=True, help="Resume the run that wrote the output.")
@click.option("--retry-failed", is_flag=True, help="With --resume: retry failed rows.")
@click.option(
    "--allow-url-change", is_flag=True, help="With --resume: accept a different URL of the app."
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(),
    help="Write a report of the run: a page of HTML with charts of outcomes, latencies and load.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON, to standard output."
)
@click.option("-q", "--quiet", is_flag=True, help="Hide the progress and the summary.")
@_timeout_option("for each row")
@connects
def map_command(
    connection: Connection,
    words: tuple[str, ...],
    *,
    columns: tuple[str, ...],
    file_columns: tuple[str, ...],
    key: str | None,
    attempts: int,
    idempotent: bool,
    form: Format | None,
    delimiter: str | None,
    encoding: str,
    **rest: Any,
) -> None:
    """Call an endpoint for each row of a file.

    A column supplies the parameter of the same name; NAME=VALUE gives a parameter the same value
    for all rows, written as for `triojob call`.
    Each finished row is a line of the output, in the order in which they finish:

    \b
    {"row": 7, "outcome": "ok", "result": ..., "attempts": 1, "seconds": 0.31, "input": "..."}
    {"row": 8, "outcome": "app_error", "error": {"class": ..., "message": ...}, ...}

    However the run ends, even by `kill -9`, the same command with --resume continues it: finished
    rows are neither lost nor repeated.
    """
    is_named = bool(words) and "=" not in words[0]
    constants = words[1:] if is_named else words
    options = MapOptions(
        endpoint=words[0] if is_named else None,
        plan=PlanOptions(constants, columns, file_columns, key),
        retry=make_retry(attempts, idempotent=idempotent),
        reading=Reading(form, delimiter, encoding),
        **rest,
    )
    if options.as_json and is_stdout(options.output):
        raise CommandError("--json and --output - would both write to standard output")
    if (options.retry_failed or options.allow_url_change) and not options.resume:
        raise CommandError("--retry-failed and --allow-url-change need --resume")
    main = partial(map_rows, connection, options)
    _exit(run_command(main, as_json=options.as_json, stopped=partial(stopped, options)))


_port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port to listen on, on this machine only.  [default: a free port]",
)


@cli.command()
@_url_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="TEXT",
    help="A text to mask in the recording, or @FILE; may be repeated.",
)
@click.option(
    "--max-size",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="MIB",
    help="The most megabytes of the recording, with its files.",
)
@_port_option
@connects
def record(
    connection: Connection, file: Path, secrets: tuple[str, ...], max_size: int, port: int
) -> None:
    """Record what an app sends, for tests without it.

    Prints the URL of an app on this machine that passes each call on to the app, until Ctrl-C;
    then writes FILE, such as app.jsonl, and the files of outputs beside it, in app.files.
    """
    main = partial(run_record, connection, file, secrets=secrets, max_size=max_size, port=port)
    _exit(run_command(main))


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How fast to play: 2 is twice as fast as recorded, inf is without waiting.",
)
@click.option("--repeats", is_flag=True, help="Play the last of equal calls any number of times.")
@_port_option
def replay(file: Path, *, speed: float, repeats: bool, port: int) -> None:
    """Play the recording of an app.

    Prints the URL of an app on this machine that responds as the recorded app did, until Ctrl-C.
    If it was called in a way that was not recorded, it shows the difference and exits with code 1.
    """
    _exit(run_command(partial(run_replay, file, speed=speed, repeats=repeats, port=port)))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes TAB complete commands, options, endpoints and parameters.

    \b
    bash:  eval "$(triojob completion bash)"     in ~/.bashrc
    zsh:   eval "$(triojob completion zsh)"      in ~/.zshrc
    fish:  triojob completion fish > ~/.config/fish/completions/triojob.fish
    """
    click.echo(script_for(cli, shell))


@cli.command()
@click.option(
    "--jobs",
    type=click.IntRange(1, 200),
    default=12,
    show_default=True,
    help="The number of jobs in the fan-out.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="The maximum number of jobs in flight.",
)
@_port_option
@click.option(
    "--plain", is_flag=True, help="Print plain lines, as when the output is not a terminal."
)
@click.pass_context
def demo(context: click.Context, jobs: int, limit: int, port: int, *, plain: bool) -> None:
    """Show what triojob does, with a real Gradio app on this machine.

    Starts the app in a process of its own, calls it in several ways (many jobs at once, a stream,
    a cancellation, a timeout, a failure), and ends it.
    Takes about 20 seconds, needs no network and downloads nothing.
    Ctrl-C ends it at any time.
    """
    if importlib.util.find_spec("gradio") is None:
        raise CommandError(
            "the demo needs gradio, which is not installed; "
            "install it with: pip install 'triojob[demo]'",
            MISSING,
        )
    try:
        code = run(Options(jobs=jobs, limit=limit, port=port, plain=plain))
    except DemoError as exc:
        raise click.ClickException(str(exc)) from None
    except KeyboardInterrupt:
        # Before Trio ran, or for the second time.
        code = INTERRUPTED
    context.exit(code)


@cli.command()
@_url_argument
@click.option(
    "--class-name", default="App", show_default=True, metavar="NAME", help="The name of the class."
)
@click.option("--all", "all_endpoints", is_flag=True, help="Include undocumented endpoints.")
@click.option(
    "--files",
    type=click.Choice(["path", "handle"]),
    default="path",
    show_default=True,
    help="The type of files in results: paths of copies, or handles, for download_files=False.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file when the module is complete.  [default: standard output]",
)
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write nothing; exit with code 1 if this file differs from what would be written.",
)
@_timeout_option("for the app's description")
@connects
def stubs(
    connection: Connection,
    timeout: float | None,
    *,
    class_name: str,
    all_endpoints: bool,
    files: Literal["path", "handle"],
    output: Path | None,
    check: Path | None,
) -> None:
    """Write a typed Python module for an app.

    For example: triojob stubs http://127.0.0.1:7860 -o my_app.py

    The module has a class with a method for each endpoint, which type checkers and editors
    understand: await App(client).greet("Ada").
    """
    main = partial(
        run_stubs,
        connection,
        class_name=class_name,
        all_endpoints=all_endpoints,
        files=files,
        output=output,
        check=check,
        timeout=timeout,
    )
    _exit(run_command(main))
