"""``triojob stubs``: a typed module for an app."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import trio

from .connecting import Connection, time_limit
from .ending import CommandError
from .terminal import Stdout


async def stubs(
    connection: Connection,
    *,
    class_name: str,
    all_endpoints: bool,
    files: Literal["path", "handle"],
    output: Path | None,
    check: Path | None,
    timeout: float | None,
) -> int:
    """Write the module; return the exit code.

    Args:
        output: The file to write, once the module is complete; None for standard output.
        check: A file to compare with the module, instead of writing it.

    Raises:
        TriojobError: The app can't be reached.
        CommandError: The class name is invalid, or the file differs from the module.
    """
    with time_limit(timeout, "reading the app's description"):
        async with connection.open() as client:
            try:
                text = client.stubs(class_name, all_endpoints=all_endpoints, files=files)
            except ValueError as exc:
                raise CommandError(str(exc)) from None
    data = text.encode()  # a module is UTF-8, regardless of the terminal
    if check is not None:
        if await trio.Path(check).read_bytes() != data:
            raise CommandError(
                f"{check} no longer matches the app; rewrite it with -o {check}",
                exit_code=1,
            )
    elif output is None:
        await Stdout().write_bytes(data)
    else:
        await trio.Path(output).write_bytes(data)
    return 0
