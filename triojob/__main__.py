"""The ``triojob`` command; ``python -m triojob`` is the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, if the extra that it needs is installed."""
    try:
        from ._cli.app import cli
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in ("click", "rich"):
            raise
        sys.exit(
            f"triojob: the command line needs {package}, which is not installed; "
            "get all of it with: pip install 'triojob[demo]'"
        )
    except KeyboardInterrupt:
        sys.exit(130)
    cli(prog_name="triojob")


if __name__ == "__main__":
    main()
