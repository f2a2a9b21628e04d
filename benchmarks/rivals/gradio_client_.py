"""gradio_client, Gradio's own client for Python."""

from __future__ import annotations

import os
import time

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

_START = time.perf_counter()

import gradio_client  # pyright: ignore[reportMissingTypeStubs] - it has none

IMPORT = time.perf_counter() - _START

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

from . import _threads
from ._measure import main


@contextmanager
def opened(url: str, **options: Any) -> Generator[gradio_client.Client, None, None]:
    """Open a client as its documentation says; ``max_workers`` may be given."""
    with tempfile.TemporaryDirectory() as folder:
        client = gradio_client.Client(
            url, verbose=False, analytics_enabled=False, download_files=folder, **options
        )
        try:
            yield client
        finally:
            client.close()


def importing() -> dict[str, Any]:
    return {"wall": IMPORT, "version": gradio_client.__version__}


if __name__ == "__main__":
    main(
        {
            "import": importing,
            "construct": partial(_threads.construct, opened),
            "in_threads": partial(_threads.in_threads, opened),
            "sequential": partial(_threads.sequential, opened),
            "many": partial(_threads.many, opened),
            "stream": partial(_threads.stream, opened),
            "cancel": partial(_threads.cancel, opened),
            "upload": partial(_threads.upload, opened, gradio_client.handle_file),
            "download": partial(_threads.download, opened),
        }
    )
