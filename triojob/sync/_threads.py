"""Threads for functions that can block: callbacks, and code that acquires foreign locks."""

from __future__ import annotations

import threading
from collections.abc import Callable

import trio

from ._atomic import WeakBag


class _Calls:
    threads: WeakBag[threading.Thread] = WeakBag()
    """The threads that `call_elsewhere` started."""
    deferred: list[Callable[[], object]] | None = None
    """The functions for `call_deferred`; None before and after the interpreter begins to end."""


def call_elsewhere(fn: Callable[[], object]) -> None:
    """Call ``fn()`` in a thread that the interpreter waits for: it can block, or take long."""
    deferred = _Calls.deferred
    if deferred is not None:
        deferred.append(fn)  # the interpreter no longer waits for threads
        return
    # Not a daemon, although its starter is one: functions that run at exit must finish.
    thread = threading.Thread(target=fn, name="triojob callbacks", daemon=False)
    try:
        thread.start()
    except RuntimeError:  # no further thread can be started
        fn()
    else:
        _Calls.threads.add(thread)


def call_in_daemon(fn: Callable[[], object]) -> None:
    """Call ``fn()`` in a thread that the interpreter doesn't wait for; at exit, do nothing."""
    if _Calls.deferred is not None:
        return
    try:
        trio.lowlevel.start_thread_soon(fn, lambda result: result.unwrap())
    except RuntimeError:  # no further thread can be started, or the interpreter is ending
        if threading.main_thread().is_alive():
            fn()


def defer_calls() -> None:
    """Keep further functions for `call_deferred`, because the interpreter is ending."""
    _Calls.deferred = []


def call_deferred() -> None:
    """Wait for the threads of `call_elsewhere`, then call the functions that came later here."""
    for thread in _Calls.threads:
        thread.join()  # it was started just after Python stopped waiting for threads
    deferred, _Calls.deferred = _Calls.deferred, None
    for fn in deferred or ():
        fn()


def forget_threads() -> None:
    """Forget the threads of the parent process."""
    _Calls.threads, _Calls.deferred = WeakBag(), None
