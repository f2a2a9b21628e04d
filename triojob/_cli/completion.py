"""Completion at a shell's TAB: commands and options by click, endpoints and parameters by the app.

The app's description is requested, within two seconds; an error completes to nothing, as a shell
can't display it.

A candidate is text from the app.  It is inserted into the command line as one word, quoted for the
shell, so that running the line never executes any of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import ClassVar

import click
import trio
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from triojob import TriojobError

from .._printable import printable_line
from .._secrets import scrub
from ..gradio.schema.app import AppInfo
from .connecting import Connection, read_login
from .ending import CommandError

SECONDS = 2.0
_VARIABLE = "_TRIOJOB_COMPLETE"


def script_for(cli: click.Command, shell: str) -> str:
    """Return the script that a shell evaluates."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(cli, {}, "triojob", _VARIABLE).source()


# --- Candidates ---


def complete_arguments(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete an endpoint, or the name of one of its parameters."""
    app = _ask(context)
    if app is None:
        return []
    typed: list[str] = [*(context.params.get("words") or ())]
    names = app.names()
    if not typed and "=" not in incomplete:
        wanted = incomplete if incomplete.startswith("/") else f"/{incomplete}"
        return [
            _item(name, app.find(name, None).description)
            for name in names
            if name.startswith(wanted) and _can_be_typed(name)
        ]
    name = typed[0] if typed and "=" not in typed[0] else None
    try:
        parameters = app.find(name, None).parameters
    except TriojobError:
        return []
    given = {word.partition("=")[0].removesuffix(":") for word in typed}
    return [
        _item(f"{parameter.name}=", parameter.python_type)
        for parameter in parameters
        if parameter.name not in given and parameter.name.startswith(incomplete)
    ]


def _can_be_typed(name: str) -> bool:
    return printable_line(name) == name


def _item(value: str, words: str) -> CompletionItem:
    """Return a candidate with the app's description of it, as a shell may show it."""
    first_line = words.partition("\n")[0]
    return CompletionItem(value, help=scrub(printable_line(first_line), ours=True))


def _ask(context: click.Context) -> AppInfo | None:
    options = context.params
    url = options.get("url")
    if not url:
        return None
    with contextlib.suppress(TriojobError, CommandError, OSError):
        connection = Connection(
            url,
            read_login(options.get("auth"), ask=False),
            options.get("token"),
            options.get("oauth_token"),
            options.get("headers") or (),
            options.get("ca"),
            insecure=bool(options.get("insecure")),
        )
        return trio.run(_describe, connection)
    return None


async def _describe(connection: Connection) -> AppInfo | None:
    app: AppInfo | None = None
    with trio.move_on_after(SECONDS):
        async with connection.open() as client:
            app = client.app
    return app


# --- The shells ---

_BASH = """\
%(complete_func)s() {
    local candidate response
    response=$(COMP_LINE=${COMP_LINE:0:COMP_POINT} COMP_WORD=${2-${COMP_WORDS[COMP_CWORD]}} \
        COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS= read -r candidate; do
        case ${candidate%%%%,*} in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${candidate#*,}") ;;
        esac
    done <<< "$response"
    # After the name of a parameter comes its value.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Completes for bash, which inserts a candidate unchanged.

    It replaces the word as readline delimits it, at any of ``COMP_WORDBREAKS``, which include
    colons and equals signs.
    """

    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE")
        if not line:
            # Another function has called the script's one, and knows only the words.
            count = int(os.environ["COMP_CWORD"]) + 1
            known = [*os.environ["COMP_WORDS"].split(), ""][:count]
            line = " ".join(known).replace(" : ", ":")
        self._quote, typed = _typed(line)
        word = os.environ.get("COMP_WORD", typed)
        self._kept = "".join(split_arg_string(typed[: len(typed) - len(word)]))
        words = split_arg_string(line)[1:]
        return (words, "") if not typed else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        value = str(item.value).removeprefix(self._kept)
        return f"{item.type},{_quoted(value, self._quote) if item.type == 'plain' else value}"


def _typed(line: str) -> tuple[str, str]:
    """Return the quote that is open at the end of a line, and the word there as it was typed."""
    quote, start, place = "", 0, 0
    while place < len(line):
        character = line[place]
        if character == "\\" and quote != "'":
            place += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character.isspace():
            start = place + 1
        place += 1
    return quote, line[start:]


def _quoted(value: str, quote: str) -> str:
    """Return ``value`` as it is typed, possibly inside of an open quote."""
    if quote == "'":
        return value.replace("'", r"'\''")
    if quote == '"':
        # Inside double quotes, only ending them protects an exclamation mark from history
        # expansion.
        return re.sub(r'[\\"$`]', r"\\\g<0>", value).replace("!", "\"'!'\"")
    return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value)


class _WholeWords(ShellComplete):
    """Completes for a shell that replaces the whole word with a candidate, and quotes it."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        option, equals, _ = incomplete.partition("=")
        # For an option with its value, click completes the value only.
        self._option = f"{option}{equals}" if equals and option.startswith("-") else ""
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        if item.type == "plain":
            item = CompletionItem(self._option + str(item.value), help=item.help)
        return super().format_completion(item)


class _Zsh(_WholeWords, ZshComplete):
    def format_completion(self, item: CompletionItem) -> str:
        if item.help:
            # Such a candidate is passed to zsh's `_describe`, which treats a backslash as an
            # escape.
            value = str(item.value).replace("\\", r"\\")
            item = CompletionItem(value, item.type, help=item.help)
        return super().format_completion(item)


class _Fish(_WholeWords, FishComplete):
    # A candidate, or its description, may contain commas.
    source_template: ClassVar[str] = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


for _kind in (_Bash, _Zsh, _Fish):
    add_completion_class(_kind)
