"""The command that writes a typed module for an app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click
import trio

from triojob import Client, TriojobError


@click.command()
@click.argument("url", metavar="URL")
@click.option(
    "--class-name", default="App", show_default=True, metavar="NAME", help="What it is called."
)
@click.option("--all", "all_endpoints", is_flag=True, help="Undocumented endpoints too.")
@click.option(
    "--files",
    type=click.Choice(["path", "handle"]),
    default="path",
    show_default=True,
    help="What files in results are: paths of copies, or handles, for download_files=False.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, and only once all of it is there.  [default: standard output]",
)
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write nothing; fail if this file is not what would be written.",
)
@click.option(
    "--auth",
    envvar="TRIOJOB_AUTH",
    metavar="USER:PASSWORD",
    help="Log in.  [env: TRIOJOB_AUTH]",
)
@click.option(
    "--token",
    envvar="TRIOJOB_TOKEN",
    metavar="TOKEN",
    help="A Hugging Face token that may use the Space.  [env: TRIOJOB_TOKEN]",
)
def stubs(
    url: str,
    *,
    class_name: str,
    all_endpoints: bool,
    files: Literal["path", "handle"],
    output: Path | None,
    check: Path | None,
    auth: str | None,
    token: str | None,
) -> None:
    """Write a typed Python module for an app.

    For example: triojob stubs http://127.0.0.1:7860 > my_app.py

    The module has a class with a method for each endpoint, which type checkers and editors
    understand: await App(client).greet("Ada").
    """
    user, colon, password = (auth or "").partition(":")
    if auth and not (user and colon):
        raise click.UsageError("--auth is USER:PASSWORD")

    async def write() -> str:
        login = (user, password) if auth else None
        async with Client(url, auth=login, token=token) as client:
            return client.stubs(class_name, all_endpoints=all_endpoints, files=files)

    try:
        text = trio.run(write)
    except (TriojobError, ValueError) as exc:
        raise click.ClickException(str(exc)) from None
    if check is not None:
        if check.read_bytes() != text.encode():
            raise click.ClickException(
                f"{check} is not what the app is now; make it anew with -o {check}"
            )
    elif output is None:
        # Bytes, as a module is UTF-8 whatever the terminal is.
        sys.stdout.buffer.write(text.encode())
    else:
        output.write_bytes(text.encode())
