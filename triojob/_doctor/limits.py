"""Limits on the way: idle connections, request bodies, the rate of requests, connections."""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from .._exceptions import NetworkError, TriojobError
from ..gradio.http.client import HTTP
from ..gradio.http.connection import Connection
from ..gradio.http.sockets import TransportError
from ..gradio.protocol.refusals import refusal
from ..gradio.schema.app import EndpointInfo
from .catalog import found
from .context import REFUSED, Context, NotChecked, give_up_if_refused, refused, status_of
from .findings import Finding, Severity

IDLE = 2.0
"""Seconds to watch an idle connection: uvicorn keeps it for 5 by default, nginx for 75."""
SHORT_IDLE = 0.9
"""Seconds: triojob reuses a connection for half a second."""
BODIES = (2, 10, 100)
"""The sizes of bodies to announce, in units of a million bytes; nginx accepts 1 by default."""
UNDECIDED = 5.0
"""Seconds to wait for what a server says about an announced body: some ignore the question."""
SMALL_BODY = 10_000_000
"""Bytes: an app that takes files needs larger ones."""
REQUESTS = 30
"""How many short requests to send one after the other."""
STREAMS = 16
"""How many streams to open at once: a client begins with as many calls."""

_MEGABYTE = 1_000_000


async def idle_connections(context: Context) -> list[Finding]:
    """See whether the server keeps a connection after a response, and for how long."""
    connection = await context.begin("GET", "/app_id")
    try:
        reader = connection.reader
        await connection.receive_head()
        while not reader.complete:
            if reader.error is not None:
                raise NotChecked(f"the response is not valid: {reader.error}")
            await connection.receive()
        give_up_if_refused(reader.status, "GET /app_id")
        if not reader.is_reusable:
            return [found("keep-alive-off", "the server closes each connection after a response")]
        start = trio.current_time()
        with trio.move_on_after(IDLE) as scope:
            while reader.is_reusable:
                await _received(connection)
    finally:
        connection.close()
    seconds = trio.current_time() - start
    if scope.cancelled_caught:
        return []
    saw = f"the server closed a connection after it was idle for {seconds:.2f} s"
    severity: Severity = "warning" if seconds < SHORT_IDLE else "note"
    return [found("keep-alive-short", saw, severity=severity, seconds=round(seconds, 2))]


async def _received(connection: Connection) -> None:
    try:
        await connection.receive()
    except TransportError:  # closed, by a reset
        connection.reader.is_reusable = False


async def request_bodies(context: Context) -> list[Finding]:
    """Announce large uploads, and send none of their bytes: servers refuse by the announced size.

    The announced type is not that of an upload, so the app refuses it without reading it.
    """
    most = context.app.max_file_size or math.inf
    passed = 0
    for size in (_MEGABYTE * number for number in BODIES):
        if size > most:
            break
        status = await _status_of_announced(context, size)
        give_up_if_refused(status, "POST /upload")
        if status == 413:
            return [_body_limit(context, size, passed)]
        passed = size
    return []


def _body_limit(context: Context, size: int, passed: int) -> Finding:
    server = f" by {context.server}" if context.server else ""
    saw = f"a body of {size // _MEGABYTE} MB is refused{server} with status 413"
    if passed:
        saw += f", and one of {passed // _MEGABYTE} MB is not"
    takes_files = any(
        parameter.takes_files
        for info in context.app.endpoints(all_endpoints=True).values()
        if isinstance(info, EndpointInfo)
        for parameter in info.parameters
    )
    severity: Severity = "warning" if takes_files and size <= SMALL_BODY else "note"
    return found("body-limit", saw, severity=severity, refused=size, passed=passed)


async def _status_of_announced(context: Context, size: int) -> int:
    """Announce an upload; return the status of the response, or 100 if the body is wanted."""
    connection = await context.begin(
        "POST", "/upload", kind="application/octet-stream", announced=size
    )
    try:
        reader = connection.reader
        with trio.move_on_after(UNDECIDED):
            while not reader.status and not reader.interim:
                if reader.error is not None:
                    raise NotChecked(f"announcing an upload of {size} bytes: {reader.error}")
                await connection.receive()
        if not reader.status and not reader.interim:
            raise NotChecked("the server does not say beforehand whether it would take a body")
        return reader.status or 100
    finally:
        connection.close()


async def request_rate(context: Context) -> list[Finding]:
    """Send short requests one after the other, and see whether one is refused."""
    http = context.http
    start = trio.current_time()
    for number in range(1, REQUESTS + 1):
        response = await http.request("GET", "/app_id")
        if response.status in REFUSED:
            seconds = trio.current_time() - start
            error = refusal(response, "GET /app_id", "")
            saw = f"request {number} of a row was refused {seconds:.2f} s after the first: {error}"
            return [
                found(
                    "rate-limit",
                    saw,
                    status=response.status,
                    requests=number,
                    seconds=round(seconds, 2),
                    retry_after=response.retry_after,
                )
            ]
    return []


async def connections(context: Context) -> list[Finding]:
    """Open event streams one after the other, until one is refused; then close all."""
    if "rate-limit" in context.codes:
        raise NotChecked("the limit on the rate of requests refuses first")
    if "buffering" in context.codes:
        raise NotChecked("behind a proxy that buffers, an open stream cannot be recognized")
    context.refuse_if_unloading()
    http = context.http
    http.close_idle()
    failures: list[TriojobError] = []
    opened = 0
    async with trio.open_nursery() as nursery:
        while opened < STREAMS and not failures:
            opened += 1
            await nursery.start(_hold, http, failures.append)
        nursery.cancel_scope.cancel()
    if not failures:
        return []
    status = status_of(failures[0])
    if status is None:
        if not isinstance(failures[0], NetworkError):
            raise failures[0]
        await context.round_trip()  # raises if no connection can be made at all
    if status not in (None, *REFUSED):
        raise NotChecked(f"the app has no heartbeats (status {status})")
    saw = f"of event streams that were open at once, number {opened} was refused: {failures[0]}"
    return [found("connection-limit", saw, refused=opened, status=status)]


async def _hold(
    http: HTTP,
    failed: Callable[[TriojobError], object],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep a stream open until cancelled; one that ends later is another check's concern."""
    is_open = False
    try:
        async with http.open_events(f"/heartbeat/{http.secrets.new_session()}", refused) as stream:
            is_open = True
            task_status.started()
            async for _ in stream:
                pass
    except TriojobError as exc:
        if not is_open:
            failed(exc)
            task_status.started()
