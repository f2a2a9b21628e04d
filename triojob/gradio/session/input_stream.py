"""Calls whose inputs are sent while outputs come back.

Such an endpoint has ``connection: "stream"`` in ``/config``: a webcam's or a microphone's.  The app
responds to each input with one output.  An input that arrives too early replaces the previous one,
so the next input waits here for the response to the previous one.

Wire source: gradio 6.31, ``routes.py`` (``/stream/{event_id}``), ``queueing.py``
(``process_events``, ``wait_for_batch``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, final

import trio

from ..._core.containment import contained
from ..._core.iterators import OutputIterator
from ..._core.job import Job, record_of
from ..._exceptions import (
    ConnectionFailed,
    InputStreamClosed,
    TriojobError,
    UnexpectedResponse,
    raise_first,
    shorten,
)
from ..http.client import HTTP
from ..http.response import Response
from ..http.urls import quoted
from .pending_call import PendingCall


class InputFeed:
    """The sending side of a call that receives inputs while it runs.

    Args:
        background: The nursery of requests, which outlive the tasks that wait for them.
        once: Close the input automatically after the first response, for a call with one input.
    """

    def __init__(self, name: str, http: HTTP, background: trio.Nursery, *, once: bool) -> None:
        self._name = name
        self._http = http
        self._background = background
        self._once = once
        self._call: PendingCall | None = None
        self._ready = False
        """Whether the app has responded to the last input."""
        self._closed = False
        """Whether the end of the inputs has been sent to the app, or is being sent."""
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()
        self._sending = trio.Lock()

    def begin(self, call: PendingCall) -> None:
        """Set the call that receives the inputs."""
        self._call = call

    def answered(self) -> None:
        """Note that the app has responded to an input."""
        self._ready = True
        self._changed.unpark_all()
        if self._once and not self._closed:
            self._closed = True
            self._background.start_soon(self._close_quietly, name=self._task("close"))

    def end(self) -> None:
        """Note that the call has ended, however it ended."""
        self._ended = True
        self._changed.unpark_all()

    async def send(self, data: str) -> None:
        """Send an input (JSON) once the app has responded to the previous one.

        Raises:
            InputStreamClosed: The call takes no more inputs.
            NetworkError: The network failed.
        """
        async with self._sending:
            await self._turn()
            if self._ended or self._closed:
                raise self._over()
            self._ready = False
            call = self._call
            assert call is not None
            body = call.request.body(call.session_hash, data=data)
            try:
                await self._post("", body)
            except ConnectionFailed:
                self._ready = True  # the input did not reach the app
                raise

    async def close(self) -> None:
        """Send the end of the inputs, once the app has responded to the last one."""
        async with self._sending:
            await self._turn()
            if self._ended or self._closed:
                return
            self._closed = True
            try:
                await self._post("/close", None)
            except InputStreamClosed:
                return  # the call has ended by itself meanwhile
            except TriojobError:
                self._closed = False
                raise

    async def _turn(self) -> None:
        await trio.lowlevel.checkpoint()
        while not (self._ready or self._ended or self._closed):
            await self._changed.park()

    async def _post(self, path: str, body: str | None) -> None:
        """Send a request in the background: being cancelled here does not interrupt the request."""
        done = trio.Event()
        errors: list[TriojobError] = []

        def fail(error: TriojobError) -> None:
            errors.append(error)
            if not waiting:
                self._log(logging.WARNING, "can't send an input: %s", error)

        async def post() -> None:
            try:
                with contained(fail, self._name):
                    await self._request(path, body)
            finally:
                done.set()

        waiting = True
        self._background.start_soon(post, name=self._task("input"))
        try:
            await done.wait()
        finally:
            waiting = False
        raise_first(errors)

    async def _request(self, path: str, body: str | None) -> None:
        assert self._call is not None
        event_id = quoted(self._call.event_id or "")
        response = await self._http.request(
            "POST",
            f"/stream/{event_id}{path}",
            json=body,
            limiter=self._http.requests,
            what=f"POST /stream{path}",
        )
        # Gradio 5 does not report a vanished event: it fails with an internal error.
        if response.status in (404, 500):
            raise self._over()
        if response.status != 200:
            raise _refusal(response, self._name)

    @trio.lowlevel.enable_ki_protection
    async def _close_quietly(self) -> None:
        # If this fails, the call ends by itself once the app has waited long enough.
        fail = partial(self._log, logging.DEBUG, "can't close its input: %s")
        with contained(fail, self._name):
            await self._request("/close", None)

    def _task(self, what: str) -> str:
        number = "" if self._call is None else f"#{self._call.job_id} "
        return f"<{what} {number}{self._name}>"

    def _log(self, level: int, text: str, error: TriojobError) -> None:
        assert self._call is not None
        self._call.log(level, text, error)

    def _over(self) -> InputStreamClosed:
        why = "its input was closed" if self._closed else "it has ended"
        return InputStreamClosed(f"{self._name} takes no more inputs: {why}")


def _refusal(response: Response, name: str) -> UnexpectedResponse:
    return UnexpectedResponse(
        f"{name}: the server refused an input with status {response.status}: "
        f"{shorten(response.body)}",
        status=response.status,
    )


@final
class InputStream:
    """A call that receives inputs while its outputs come back.

    `Endpoint.stream_inputs` opens it.

    ``async for output in stream`` iterates over the outputs, one for each input.
    """

    def __init__(self, job: Job[Any], feed: InputFeed, encode: Callable[..., str]) -> None:
        self._job = job
        self._feed = feed
        self._encode = encode

    @property
    def job(self) -> Job[Any]:
        """The call as a job, with its status, its outputs and `Job.cancel`."""
        return self._job

    async def send(self, /, *args: Any, **kwargs: Any) -> None:
        """Send the next input, with the arguments of a call of the endpoint.

        Waits until the app has responded to the previous input; returns when the app has received
        this one.

        Raises:
            TypeError, ValueError: An argument is wrong or missing; nothing was sent.
            InputStreamClosed: The call has ended, or `send_eof` was called.
            Exception: The exception that the call raised, if it has failed; that retrieves the
                failure.
            NetworkError: The network failed; the app may have received the input, except after
                `ConnectionFailed`.

        If it is cancelled while it waits for the response to the previous input, nothing is sent;
        if later, the input is sent all the same.
        """
        record_of(self._job).require_task()
        data = self._encode(args, kwargs)
        if record_of(self._job).scope.cancel_called:
            # The job has not ended yet, but it is cancelled: send nothing more.
            self._feed.end()
        try:
            await self._feed.send(data)
        except InputStreamClosed:
            job = self._job
            if not job.done or job.cancelled or job.exception() is None:
                raise
        else:
            return
        await self._job.result()

    async def send_eof(self) -> None:
        """Send the end of the inputs, once the app has responded to the last one.

        Does nothing if the call has ended or `send_eof` has been called before.
        The call then ends by itself, with its last output as its result.

        Raises:
            NetworkError: The network failed.
        """
        record_of(self._job).require_task()
        await self._feed.close()

    def __aiter__(self) -> OutputIterator[Any]:
        """Iterate over the outputs, as over the outputs of any `Job`."""
        return self._job.__aiter__()

    def __repr__(self) -> str:
        return f"<InputStream {self._job!r}>"
