"""A call of an endpoint: its attempts, its files and its session."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import trio
from outcome import Error, Outcome

from .._core.call import Batch, Call
from .._core.instruments import Instrument
from .._core.logs import log_job
from .._core.messages import Status, StatusUpdate
from .._core.retry import Retry
from .._core.runner import JobRunner
from .._exceptions import TriojobError, raise_first
from .files.inputs import FilePlaceholders
from .files.outputs import DownloadingSink, OutputFiles
from .files.upload import upload_files
from .http.urls import check_headers
from .protocol.base import CallDriver, CallRequest, StreamDriver, has_session_stream
from .protocol.messages import Json
from .protocol.translator import EventTranslator, ObservedTranslator
from .schema.app import EndpointInfo
from .session.input_stream import InputFeed
from .session.pending_call import PendingCall
from .session.registry import SessionRegistry
from .session.session import Session
from .session.window_limiter import Slot


@dataclass(frozen=True)
class CallSettings:
    """The settings that the calls of one client share."""

    validate: bool
    """Whether to check arguments against the app's description."""
    oauth_token: Callable[[EndpointInfo], str | None]
    """Returns the token to send with calls of an endpoint."""
    outputs: OutputFiles
    """What to do with files in outputs."""
    max_file_size: int | None
    """The size limit in bytes of the app's uploads, or None for no limit."""
    raw_updates: bool = False
    """Whether to show property updates as the server sends them."""
    instruments: tuple[Instrument, ...] = ()
    """Receive the events of the jobs of input streams."""
    home: Session | None = None
    """A session for calls that are the only ones of their function in it."""


class EndpointCall(Call):
    """A call of an endpoint whose arguments are checked and encoded.

    Args:
        request: The call without its files, which are ``placeholders`` in its data.
        feed: The source of further inputs, for a function that takes a stream of inputs.
        on_status: Called with each status that the server reports.
        batch: The batch of the call, if it can share a session with other calls of the batch.
        patient: Whether to retry while the server refuses the call, see `Limits.refused_for`.
        on_message: Called with each message of the server, in the format of Gradio's queue.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        info: EndpointInfo,
        session: Session | None,
        settings: CallSettings,
        *,
        driver: StreamDriver | CallDriver,
        request: CallRequest,
        placeholders: FilePlaceholders | None,
        feed: InputFeed | None,
        retry: Retry | None,
        on_status: Callable[[StatusUpdate], object] | None,
        batch: Batch | None,
        patient: bool,
        on_message: Callable[[Json], object] | None = None,
    ) -> None:
        self._on_status = on_status
        self._on_message = on_message
        self._batch = batch
        self._patient = patient
        self.name: str = info.name
        self.url: str | None = registry.http.base
        self.token: trio.lowlevel.TrioToken | None = registry.http.token
        self.retry = retry
        if feed is None and info.takes_stream:
            # One input only: otherwise the app would wait for more inputs, for any length of time.
            feed = InputFeed(info.name, registry.http, registry.background, once=True)
        self._feed = feed
        self._restarts = registry.watch.restarts
        self._registry = registry
        self._info = info
        self._session = session
        self._settings = settings
        self._driver = driver
        self._request = request
        self._placeholders = placeholders
        self.yielded: bool = False
        """Whether the last attempt has yielded an output."""

    async def run(self, runner: JobRunner) -> Outcome[Any]:
        retry = None if self._feed is not None else self.retry
        record, start, attempt = runner.record, trio.current_time(), 0
        while True:
            attempt += 1
            try:
                result = await self._attempt(runner)
            except TriojobError as exc:
                result = Error(exc.with_traceback(None))  # its frames hold the job
            seconds: float | None = None
            if retry and isinstance(result, Error) and not (record.cancelled or self.yielded):
                elapsed = trio.current_time() - start
                seconds = self._pause(retry, runner, result.error, attempt, elapsed)
            if seconds is None:
                return result
            runner.sink.status(StatusUpdate(Status.STARTING))
            with self._registry.calls.open(record.scope, record), trio.move_on_after(seconds):
                await runner.receive()

    def _pause(
        self,
        retry: Retry,
        runner: JobRunner,
        error: BaseException,
        attempt: int,
        elapsed: float,
    ) -> float | None:
        """Return the backoff in seconds before the next attempt; None for no further attempt."""
        if not retry.may_repeat(error, stateful=self._info.stateful):
            return None
        seconds = retry.pause(error, attempt, elapsed, random.random())  # noqa: S311 - no secret
        if seconds is not None:
            self._registry.retries += 1
            log_job(
                logging.INFO,
                runner.record.id,
                self.name,
                "attempt %d failed (%s); retrying in %.2f s",
                attempt,
                type(error).__name__,
                seconds,
            )
        return seconds

    async def _attempt(self, runner: JobRunner) -> Outcome[Any]:
        request, session = self._request, self._session
        self._registry.calls.add(runner.record.scope, runner.record)
        try:
            if self._placeholders is not None:
                # Before the call: on some servers, the call could lose its rank in the queue.
                request = replace(request, data=await self._upload(runner, self._placeholders))
            slot: Slot | None = None
            if session is None:
                # Thousands may wait here, so the objects that a call needs are created afterwards.
                slot = self._registry.slot(self._info, runner.record.id)
                await slot.acquire()
                home = self._settings.home
                if home is not None and home.is_free_for(self._info.fn_index):
                    session = home
                elif self._batch is not None and has_session_stream(self._driver):
                    session = self._registry.shared(self._batch, self._info.fn_index)
                else:
                    session = self._registry.isolated()
            return await self._send(runner, session, request, slot)
        finally:
            self._registry.calls.remove(runner.record.scope)

    async def _send(
        self, runner: JobRunner, session: Session, request: CallRequest, slot: Slot | None
    ) -> Outcome[Any]:
        info, feed = self._info, self._feed
        if runner.record.emit is not None:
            headers = dict(request.headers)
            runner.record.emit("job_sending", headers)
            try:
                check_headers("headers", headers)
            except ValueError:
                session.unused(slot)
                raise
            request = replace(request, headers=headers)
        sink = DownloadingSink(
            runner.sink, self._settings.outputs, info.name, info.shown_outputs, self._on_status
        )
        translator_class: Callable[..., EventTranslator] = EventTranslator
        if self._on_message is not None:
            translator_class = partial(ObservedTranslator, observer=self._on_message)
        translator = translator_class(
            info.name,
            number=runner.record.id,
            streams=info.streams,
            edits=self._driver.traits.diffs,
            present=partial(info.present, raw_updates=self._settings.raw_updates),
            sink=sink,
            rendered=None if self._session is None else session.rendered,
            answered=None if feed is None else feed.answered,
        )
        call = PendingCall(
            runner.record.id,
            info,
            request,
            self._driver,
            translator,
            slot=slot,
            restarts=self._restarts,
            patient=self._patient,
        )
        if feed is not None:
            feed.begin(call)
        try:
            if await session.send(call):
                runner.sink.status(StatusUpdate(Status.JOINING_QUEUE))
            return await self._receive(runner, sink, call)
        finally:
            self.yielded = sink.yielded
            if not translator.finished:
                call.abandon()

    async def _receive(
        self, runner: JobRunner, sink: DownloadingSink, call: PendingCall
    ) -> Outcome[Any]:
        """Receive messages until the call ends, with a task for the files if there are any."""
        result = await self._receive_until(runner, call)
        if result is None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sink.run, name=f"<files #{runner.record.id} {self.name}>")
                result = await self._receive_until(runner, call)
                nursery.cancel_scope.cancel()
        assert result is not None
        return result

    async def _receive_until(self, runner: JobRunner, call: PendingCall) -> Outcome[Any] | None:
        try:
            return await runner.receive()
        except BaseException:
            # Before any other task can run: a later call must not queue up behind this one.
            if not call.translator.finished:
                call.abandon()
            raise

    def discard(self) -> None:
        if self._feed is not None:
            self._feed.end()

    async def _upload(self, runner: JobRunner, placeholders: FilePlaceholders) -> str:
        """Upload the files and return the arguments with them; record the progress meanwhile."""
        filled = ""
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.receive, name=f"<upload #{runner.record.id} {self.name}>")
            try:
                values = await upload_files(
                    self._registry.http,
                    placeholders,
                    self.name,
                    runner.sink,
                    old_form=self._registry.drivers.queue.traits.old_file_arguments,
                )
                filled = placeholders.fill(self._request.data, values)
            except Exception as exc:  # noqa: BLE001 - raised below, without the nursery's wrapping
                failures.append(exc)
            nursery.cancel_scope.cancel()
        raise_first(failures)
        return filled
