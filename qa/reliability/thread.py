"""The proxy in a thread with a Trio of its own: nothing of it is among the tasks of the test."""

from __future__ import annotations

import ssl
import threading
from functools import partial

import trio

from qa.reliability.proxy import Proxy
from tests.support.hanging import SECONDS


class ProxyThread:
    """A proxy that runs in a thread, beside whatever its user runs.

    Args:
        tls: The right certificate, and one that nobody trusts.
    """

    def __init__(self, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None) -> None:
        self.proxy = Proxy()
        self._tls = tls
        self._ready = threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._thread = threading.Thread(target=trio.run, args=(self._main,), name="fault proxy")

    async def _main(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                serve = partial(self.proxy.serve, tls=self._tls)
                await nursery.start(serve)
                self._token = trio.lowlevel.current_trio_token()
                self._ready.set()

    def __enter__(self) -> ProxyThread:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        self._thread.start()
        assert self._ready.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
