"""The Trio side of a synchronous client: one triojob client, one session, one group.

Calls share one session if that does not affect other calls, so that an app that distinguishes
its callers by session sees one caller, as with gradio_client.
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

_CLOSED = "the client has been closed; create a new one"


_Function: TypeAlias = "tuple[tuple[str | None, int], Sequence[Mapping[str, Any]] | None]"


class OpenClient:
    """An open client; all methods except the coroutines can be called from any thread.

    Args:
        native: The client, not entered.
        http_client: The HTTP client to close at the end, or None.
        limit: How many calls run at once.
        download_files: Whether outputs have paths of copies, instead of the server's descriptions.
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
        """The functions of an app that were looked up, by name or number."""
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
        """Whether this was opened in the parent process, before a fork."""
        return self._pid != os.getpid()

    @property
    def app(self) -> AppInfo:
        """The app's description."""
        return self._registry.watch.app

    @property
    def _registry(self) -> SessionRegistry:
        registry = registry_of(self._native)
        assert registry is not None
        return registry

    @property
    def session_hash(self) -> str:
        """The session's name on the server."""
        return self._sessions.current.hash

    # In the Trio thread only.

    async def open(self) -> None:
        """Open the client and keep it open until it is closed, in a task of the run."""
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
            # Its own calls have ended; calls of other clients keep running.
            logger.exception("the client of %s failed", self._native.src)
        finally:
            self._ended = True
            self._end_notifier.notify_all()

    def _stop(self, *, waiting: bool) -> None:
        self._close_requested.set()
        if not self._ended and not waiting:
            with suppress(GroupClosed):  # the group was never opened
                self._group.cancel_scope.cancel(reason="the client was closed")

    def _start(self, run: JobRun, call: Call, lease: SessionLease) -> None:
        native = run.start(self._group, call)
        if native is None:
            self._sessions.release(lease)
        else:
            native.on_end(partial(self._sessions.release, lease))

    # From any thread.

    def find(self, api_name: str | None, fn_index: int | None) -> _Function:
        """Return the requested function, and the app's description of its parameters.

        Raises:
            EndpointNotFound: There is no such function, or the request is ambiguous.
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
            notice: Called with each status that `Job.status` returns.
            prepare: Called with the job before the call starts.

        Raises:
            ClientClosed: The client has been closed.
            AuthenticationError: The endpoint requires a token that was not given.
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
        with suppress(GroupClosed):  # the job reports it
            run.schedule(call, partial(self._start, run, call, lease))
        return job

    def _endpoint(self, session: Session, api_name: str | None, fn_index: int) -> Endpoint:
        def find() -> tuple[EndpointInfo, Session | None]:
            app = session.app
            info = app.find(api_name, None) if api_name is not None else app.find(None, fn_index)
            return info, session if info.stateful else None

        settings = settings_of(self._native)
        outputs = replace(settings.outputs, read=self._read_file)
        # Use the queue for all calls, because only queued calls have a status.  A Gradio 3 app
        # decides by itself.
        via: Via | None = "queue" if self._registry.drivers.queue.traits.queues_all else None
        settings = replace(settings, outputs=outputs, raw_updates=True, home=session)
        return Endpoint(self._registry, find, settings, via=via)

    def _read_file(self, value: Json) -> FileData | None:
        settings = settings_of(self._native)
        # A file that is still being made might never end: return the app's description unchanged.
        if not self._download_files or value.get("is_stream") is True:
            return None
        file = settings.outputs.read(value)
        # gradio_client names the copy after the server's own file.
        return None if file is None else replace(file, orig_name=None)

    def reset_session(self) -> None:
        """Use a new session for further calls; calls in flight keep running in theirs."""
        self._sessions.add(Session(self._registry))
        with suppress(GroupClosed):
            self._entry.post(self._sessions.end_unused)

    def close(self, *, waiting: bool) -> None:
        """End the client, and return when it has ended.

        Args:
            waiting: Whether to wait for the jobs to end first.
        """
        try:
            self.close_soon(waiting=waiting)
            self._end_notifier.wait_until(lambda: self._ended or self._entry.closed)
        except BaseException:
            self.close_soon(waiting=False)
            raise

    def close_soon(self, *, waiting: bool) -> None:
        """Request that the client ends; do not wait for it."""
        self._closing = True
        with suppress(GroupClosed):
            self._entry.post(partial(self._stop, waiting=waiting))
