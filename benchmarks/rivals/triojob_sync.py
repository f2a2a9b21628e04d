"""triojob's bridge for threads and plain scripts."""

from __future__ import annotations

from functools import partial

from triojob.sync import Client

from . import _threads
from ._measure import main

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
