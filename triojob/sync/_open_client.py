"""What a synchronous client has in the Trio thread: one triojob client, one session, one group.

Calls ride in one session where that harms no other call, so that an app which tells its callers
apart by their session sees one caller, as it does with gradio_client.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import httpx
import trio

from .._core.call import Call
from .._core.group import JobGroup
from .._exceptions import ClientClosed, GroupClosed, TriojobError
from ..gradio.client import Client, registry_of, settings_of
from ..gradio.endpoint import Endpoint, Via
from ..gradio.protocol.file_marks import FileData
from ..gradio.protocol.messages import Json
from ..gradio.schema.app import AppInfo, EndpointInfo
from ..gradio.session.registry import SessionRegistry
from ..gradio.session.session import Session
from ._arguments import find_function, parameters_of
from ._entry import RunEntry
from ._job import Job, make_job
from ._run import JobRun
from ._sessions import SessionLease, Sessions
from ._waiting import Notifier
from .exceptions import translate
from .utils import StatusUpdate

logger = logging.getLogger("triojob")

_CLOSED = "the client has been closed; make another one"


_Function: TypeAlias = "tuple[tuple[str | None, int], Sequence[Mapping[str, Any]] | None]"


class OpenClient:
    """An open client; all methods but the coroutines are for any thread.

    Args:
        native: The client, not entered.
        http_client: To be closed at the end, or None.
        limit: How many calls run at once.
        download_files: Whether outputs have paths of copies, and not the server's words on files.
    """

    def __init__(
        self,
        entry: RunEntry,
        native: Client,
        http_client: httpx.AsyncClient | None,
        *,
        limit: int,
        download_files: bool,
    ) -> None:
        self._entry = entry
        self._native = native
        self._http_client = http_client
        self._download_files = download_files
        self._group = JobGroup(limit=limit)
        self._sessions = Sessions()
        self._functions: tuple[AppInfo | None, dict[Any, _Function]] = (None, {})
        """What was found of an app by name or number."""
        self._pid = os.getpid()
        self._close_requested = trio.Event()
        self._closing = False
        self._ended = False
        self._end_notifier = Notifier()

    @property
    def src(self) -> str:
        """The app's URL."""
        return self._native.src

    @property
    def forked(self) -> bool:
        """Whether this was opened in the process that this one was forked from."""
        return self._pid != os.getpid()

    @property
    def app(self) -> AppInfo:
        """What the app says of itself."""
        return self._registry.watch.app

    @property
    def _registry(self) -> SessionRegistry:
        registry = registry_of(self._native)
        assert registry is not None
        return registry

    @property
    def session_hash(self) -> str:
        """The session's name with the server."""
        return self._sessions.current.hash

    # In the Trio thread.

    async def open(self) -> None:
        """Open the client and keep it open, in a task of the run, until it is closed."""
        nursery = self._entry.nursery
        assert nursery is not None
        await nursery.start(self._serve, name=f"<client of {self._native.src}>")

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        opened = False
        try:
            async with AsyncExitStack() as stack:
                if self._http_client is not None:
                    stack.push_async_callback(self._http_client.aclose)
                await stack.enter_async_context(self._native)
                self._sessions.add(Session(self._registry))
                try:
                    async with self._group:
                        opened = True
                        task_status.started()
                        await self._close_requested.wait()
                finally:
                    self._sessions.end_all()
        except Exception:
            if not opened:
                raise
            # Its calls have ended; those of other clients go on.
            logger.exception("the client of %s broke", self._native.src)
        finally:
            self._ended = True
            self._end_notifier.notify_all()

    def _stop(self, *, waiting: bool) -> None:
        self._close_requested.set()
        if not self._ended and not waiting:
            with suppress(GroupClosed):  # it was never opened
                self._group.cancel_scope.cancel(reason="the client was closed")

    def _start(self, run: JobRun, call: Call, lease: SessionLease) -> None:
        native = run.start(self._group, call)
        if native is None:
            self._sessions.release(lease)
        else:
            native.on_end(partial(self._sessions.release, lease))

    # In any thread.

    def find(self, api_name: str | None, fn_index: int | None) -> _Function:
        """Return the function that is meant, and the app's words on its parameters.

        Raises:
            EndpointNotFound: There is none, or it is not clear which.
        """
        app = self.app
        of_app, functions = self._functions
        if of_app is not app:
            functions = {}
            self._functions = (app, functions)
        found = functions.get((api_name, fn_index))
        if found is None:
            function = find_function(app, api_name, fn_index)
            found = functions[api_name, fn_index] = (function, parameters_of(app, function[1]))
        return found

    def submit(
        self,
        function: tuple[str | None, int],
        values: list[Any],
        headers: Mapping[str, str],
        *,
        notice: Callable[[StatusUpdate], None] | None,
        prepare: Callable[[Job], object],
    ) -> Job:
        """Start a call of a function as a job.

        Args:
            notice: Called with each status that somebody asks for.
            prepare: Called with the job before the call starts.

        Raises:
            ClientClosed: The client has been closed.
            AuthenticationError: The endpoint acts with a token that was not given.
            OSError, TypeError, ValueError: An argument can't be sent.
        """
        if self._closing:
            raise ClientClosed(_CLOSED)
        lease = self._sessions.acquire()
        endpoints = lease.leased.endpoints
        endpoint = endpoints.get(function)
        if endpoint is None:
            endpoint = endpoints[function] = self._endpoint(lease.leased.session, *function)
        try:
            if headers:
                endpoint = endpoint.with_headers(headers)
            call = endpoint.bind(tuple(values), {})
        except TriojobError as exc:
            raise translate(exc) from exc.__cause__
        job, run = make_job(endpoint.name, self._entry, notice=notice)
        prepare(job)
        with suppress(GroupClosed):  # the job tells of it
            run.schedule(call, partial(self._start, run, call, lease))
        return job

    def _endpoint(self, session: Session, api_name: str | None, fn_index: int) -> Endpoint:
        def find() -> tuple[EndpointInfo, Session | None]:
            app = session.app
            info = app.find(api_name, None) if api_name is not None else app.find(None, fn_index)
            return info, session if info.stateful else None

        settings = settings_of(self._native)
        outputs = replace(settings.outputs, read=self._read_file)
        # All by the queue, as it is there that a call has a status.  Gradio 3 says which.
        via: Via | None = "queue" if self._registry.drivers.queue.traits.queues_all else None
        settings = replace(settings, outputs=outputs, raw_updates=True, home=session)
        return Endpoint(self._registry, find, settings, via=via)

    def _read_file(self, value: Json) -> FileData | None:
        settings = settings_of(self._native)
        # What is still being made has no end to wait for: the app's words on it, as they are.
        if not self._download_files or value.get("is_stream") is True:
            return None
        file = settings.outputs.read(value)
        # gradio_client names the copy after the server's own.
        return None if file is None else replace(file, orig_name=None)

    def reset_session(self) -> None:
        """Have further calls ride in a new session; those under way go on in theirs."""
        self._sessions.add(Session(self._registry))
        with suppress(GroupClosed):
            self._entry.post(self._sessions.end_unused)

    def close(self, *, waiting: bool) -> None:
        """End the client, and return when it has ended.

        Args:
            waiting: Let the jobs come to their ends first.
        """
        try:
            self.close_soon(waiting=waiting)
            self._end_notifier.wait_until(lambda: self._ended or self._entry.closed)
        except BaseException:
            self.close_soon(waiting=False)
            raise

    def close_soon(self, *, waiting: bool) -> None:
        """Have the client end soon."""
        self._closing = True
        with suppress(GroupClosed):
            self._entry.post(partial(self._stop, waiting=waiting))
