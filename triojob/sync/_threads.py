"""Threads for functions that may block: callbacks, and what takes the locks of others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import trio

from ._atomic import WeakBag


class _Calls:
    threads: WeakBag[threading.Thread] = WeakBag()
    """Those that were started for `call_elsewhere`."""
    deferred: list[Callable[[], object]] | None = None
    """What `call_deferred` is to call; None before and after the end of the interpreter begins."""


def call_elsewhere(fn: Callable[[], object]) -> None:
    """Have ``fn()`` called in a thread that the interpreter waits for: it may block, or be long."""
    deferred = _Calls.deferred
    if deferred is not None:
        deferred.append(fn)  # nobody waits for threads any more
        return
    # No daemon, as the one that starts it is: what is under way at exit must come to its end.
    thread = threading.Thread(target=fn, name="triojob callbacks", daemon=False)
    try:
        thread.start()
    except RuntimeError:  # there can't be another thread
        fn()
    else:
        _Calls.threads.add(thread)


def call_in_daemon(fn: Callable[[], object]) -> None:
    """Have ``fn()`` called in a thread that the interpreter doesn't wait for, and not at exit."""
    if _Calls.deferred is not None:
        return
    try:
        trio.lowlevel.start_thread_soon(fn, lambda result: result.unwrap())
    except RuntimeError:  # there can't be another thread, or the interpreter is about to end
        if threading.main_thread().is_alive():
            fn()


def defer_calls() -> None:
    """Keep further functions for `call_deferred`, as the interpreter is ending."""
    _Calls.deferred = []


def call_deferred() -> None:
    """Wait for the threads of `call_elsewhere`, then call here what it has been given since."""
    for thread in _Calls.threads:
        thread.join()  # it was started as Python had just stopped to wait for threads
    deferred, _Calls.deferred = _Calls.deferred, None
    for fn in deferred or ():
        fn()


def forget_threads() -> None:
    """Forget the threads of the process that this one was forked from."""
    _Calls.threads, _Calls.deferred = WeakBag(), None
