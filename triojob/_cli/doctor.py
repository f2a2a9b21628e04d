"""``triojob doctor``: what is wrong with an app, and with what is between it and its clients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from triojob import CheckResult, Client, Diagnosis, Finding, diagnose

from .._printable import printable
from .arguments import read_arguments, read_stdin
from .connecting import Connection, time_limit
from .ending import CommandError, in_options
from .exit_codes import FOUND
from .screen import screen
from .terminal import Stdout

_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


@dataclass(frozen=True)
class DoctorOptions:
    """The options of the command line."""

    endpoint: str | None
    """The endpoint to call, or None."""
    arguments: Sequence[str]
    timeout: float | None
    as_json: bool


async def doctor(connection: Connection, options: DoctorOptions) -> int:
    """Examine the app and show the diagnosis; return the exit code.

    Raises:
        CommandError: An option or an argument is invalid.
        OSError: Standard output can't be written.
    """
    stdin = await read_stdin(options.arguments)
    wrong: list[CommandError] = []

    async def call(client: Client) -> None:
        endpoint = client.endpoint(options.endpoint)
        try:
            values = read_arguments(endpoint.info, options.arguments, stdin)
            job = client.submit(api_name=options.endpoint, **values)
        except CommandError as exc:
            wrong.append(exc)
        except (TypeError, ValueError) as exc:
            wrong.append(CommandError(str(exc)))
        else:
            await job.result()

    with time_limit(options.timeout, "the examination"), closing(_Progress()) as progress:
        try:
            diagnosis = await diagnose(
                connection.url,
                call=None if options.endpoint is None else call,
                on_check=progress.show,
                download_files=False,
                **connection.client_options(),
            )
        except ValueError as exc:
            raise CommandError(str(exc)) from None
    if wrong:
        raise wrong[0]
    stdout = Stdout()
    if options.as_json:
        await stdout.write_line(as_data(diagnosis))
    else:
        await stdout.write_bytes(_draw(diagnosis, terminal=stdout.is_terminal))
    return FOUND if diagnosis.problems else 0


class _Progress:
    """A line on the terminal that names the check that runs."""

    def show(self, check: str) -> None:
        """Name a check."""
        screen().show(Text(f"Checking: {check}"))

    def close(self) -> None:
        """Remove the line."""
        screen().clear()


def as_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis for machines."""
    return {
        "url": diagnosis.url,
        "title": diagnosis.title,
        "gradio": diagnosis.version,
        "protocol": diagnosis.protocol,
        "server": diagnosis.server,
        "problems": len(diagnosis.problems),
        "findings": [
            {**asdict(finding), "evidence": dict(finding.evidence)}
            for finding in diagnosis.findings
        ],
        "checks": [asdict(check) for check in diagnosis.checks],
    }


def _draw(diagnosis: Diagnosis, *, terminal: bool) -> bytes:
    """Draw a diagnosis: wrapped on a terminal, with whole lines elsewhere."""
    console = Console(highlight=False) if terminal else Console(highlight=False, width=10_000)
    with console.capture() as capture:
        title = f"{diagnosis.title} at " if diagnosis.title else ""
        facts = ", ".join(
            filter(
                None,
                (
                    diagnosis.version and f"Gradio {diagnosis.version}",
                    diagnosis.protocol,
                    diagnosis.server,
                ),
            )
        )
        about = f" ({facts})" if facts else ""
        console.print(_text(f"{title}{diagnosis.url}{about}", "bold"))
        for finding in diagnosis.findings:
            console.print()
            _draw_finding(console, finding)
        console.print()
        for line in _summary(diagnosis):
            console.print(_text(line))
    lines = (line.rstrip() for line in capture.get().splitlines())
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _draw_finding(console: Console, finding: Finding) -> None:
    console.print(_text(f"{finding.severity}: {finding.code}", _STYLES[finding.severity]))
    lines = [("saw", finding.saw), ("means", finding.means)]
    lines += [(remedy.side, remedy.change) for remedy in finding.remedies]
    # In a column of their own, words wrap under themselves.
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in lines:
        grid.add_row(_text(f"  {name + ':':<7}"), _text(in_options(words)))
    console.print(grid)


def _summary(diagnosis: Diagnosis) -> list[str]:
    counts = {
        severity: sum(finding.severity == severity for finding in diagnosis.findings)
        for severity in _STYLES
    }
    found = ", ".join(
        f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts.items() if count
    )
    done = [check for check in diagnosis.checks if check.outcome == "done"]
    lines = [f"Checked: {_names(done)}"] if done else []
    left_out = [each for each in diagnosis.checks if each.outcome in ("not_checked", "failed")]
    for reason in dict.fromkeys(check.reason for check in left_out):
        names = _names([check for check in left_out if check.reason == reason])
        lines.append(f"Not checked: {names}: {reason}")
    return [*lines, found or "Nothing found."]


def _names(checks: Sequence[CheckResult]) -> str:
    return ", ".join(check.name for check in checks)


def _text(words: str, style: str = "") -> Text:
    return Text(printable(words), style=style)
