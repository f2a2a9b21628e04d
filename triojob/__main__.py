"""The ``triojob`` command; ``python -m triojob`` is the same."""

from __future__ import annotations

import sys

from ._cli.exit_codes import INTERRUPTED, MISSING
from ._interrupt import raise_on_interrupt


def main() -> None:
    """Run the command line, if the extra that it needs is installed."""
    try:
        from ._cli.app import cli
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in ("click", "rich"):
            raise
        print(  # noqa: T201 - click, which would print it, might be the missing dependency
            f"Error: the command line needs {package}, which is not installed; "
            "install it with: pip install 'triojob[cli]'",
            file=sys.stderr,
        )
        sys.exit(MISSING)
    try:
        raise_on_interrupt()
        cli(prog_name="triojob")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
