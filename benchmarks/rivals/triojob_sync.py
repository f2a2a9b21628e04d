"""triojob's bridge for threads and plain scripts."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from . import _threads
from ._measure import main

Client: Any = import_module("triojob.sync").Client

if __name__ == "__main__":
    main(
        {
            "construct": partial(_threads.construct, Client),
            "sequential": partial(_threads.sequential, Client),
            "many": partial(_threads.many, Client),
            "in_threads": partial(_threads.in_threads, Client),
            "stream": partial(_threads.stream, Client),
        }
    )
