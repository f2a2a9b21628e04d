"""Serves a user's Gradio app from a file or module; run as a script, in a separate process.

``python _serve.py my_app.py`` or ``python _serve.py my_package.app:demo``: it prints ``READY
<url>`` and ends when its stdin is closed.
A script is run up to its ``launch()``, whose arguments are used, except for the address.
This file does not import triojob.
"""

from __future__ import annotations

import importlib
import inspect
import os
import runpy
import socket
import sys
import threading
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


class _Launched(BaseException):  # an `except Exception` of the script must not catch it
    """Ends a script at its ``launch()``."""

    def __init__(self, app: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.app = app
        self.options = options


def find(target: str, blocks: type[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the app that ``target`` names, and the arguments of its ``launch()``."""
    launch = blocks.launch

    def launched(*args: Any, **kwargs: Any) -> None:
        options = inspect.signature(launch).bind(*args, **kwargs).arguments
        raise _Launched(options.pop("self"), options)

    blocks.launch = launched
    try:
        if target.endswith(".py"):
            sys.path[0] = str(Path(target).resolve().parent)
            app = runpy.run_path(target, run_name="__main__").get("demo")
        else:
            # Not this file's own folder, whose modules may have the same names as others.
            sys.path[0] = str(Path.cwd())
            module, _, name = target.partition(":")
            app = getattr(importlib.import_module(module), name or "demo")
    except _Launched as launched_app:
        return launched_app.app, launched_app.options
    finally:
        blocks.launch = launch
    if not isinstance(app, blocks):
        sys.exit(f"{target} has no Gradio app: it neither calls launch() nor has an app named demo")
    return app, {}


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def exit_with_stdin() -> None:
    """End this process at once when stdin closes: the process that started it is gone."""
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Serve the app that the command line names."""
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    # Gradio reads these when it is imported: no telemetry, and no Node server in front.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_SSR_MODE", "False")
    # Remove this file's own folder from the import path.
    sys.path[0] = str(Path.cwd())
    try:
        blocks = importlib.import_module("gradio").Blocks
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        sys.exit("Gradio is not installed; install it with: pip install 'triojob[testing]'")
    app, options = find(sys.argv[1], blocks)
    where = {"server_name": HOST, "share": False, "inbrowser": False}
    for attempts_left in reversed(range(3)):
        try:
            app.launch(
                **{**options, **where, "server_port": free_port(), "prevent_thread_lock": True}
            )
            break
        except OSError:
            # Between our check and Gradio's binding, another process took the port.
            if not attempts_left:
                raise
    sys.stdout.write(f"READY {app.local_url.rstrip('/')}\n")
    sys.stdout.flush()
    app.block_thread()


if __name__ == "__main__":
    main()
