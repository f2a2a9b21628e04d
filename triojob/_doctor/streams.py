"""Event streams and WebSockets: does anything on the way hold them back or cut them?"""

from __future__ import annotations

import trio

from .._exceptions import ConnectionFailed, NetworkError, TriojobError
from .catalog import found
from .context import Context, NotApplicable, NotChecked, refused, status_of
from .findings import Finding

PATIENCE = 17.0
"""Seconds to wait for an event: Gradio sends a heartbeat every 15 s, and the first at once."""


async def event_stream(context: Context) -> list[Finding]:
    """Open the heartbeat of a new session, and see when its first two events arrive."""
    context.refuse_if_unloading()
    http = context.http
    stream = http.open_events(f"/heartbeat/{http.secrets.new_session()}", refused, endless=True)
    start = trio.current_time()
    events = 0
    with trio.move_on_after(PATIENCE) as scope:
        try:
            async with stream:
                async for _ in stream:
                    events += 1
                    if events == 2:
                        return []
                    scope.deadline = trio.current_time() + PATIENCE
        except NetworkError:
            pass  # as if it had ended
        except TriojobError as exc:
            if status_of(exc) is None:
                raise
            raise NotChecked(f"the app has no heartbeats (status {status_of(exc)})") from None
    seconds = trio.current_time() - start
    if not scope.cancelled_caught:
        saw = f"an event stream, which lasts as long as its client, ended after {seconds:.1f} s"
        return [found("stream-cut", saw, seconds=round(seconds, 1), events=events)]
    if events:
        return []  # the interval of heartbeats is a setting of the server's
    responds = await context.round_trip()
    saw = (
        f"no event in {seconds:.1f} s on an event stream whose first event is sent at once; "
        f"another request took {1000 * responds:.0f} ms"
    )
    return [found("buffering", saw, seconds=round(seconds, 1), round_trip=round(responds, 4))]


async def websocket(context: Context) -> list[Finding]:
    """Open and close a WebSocket, if the app's protocol uses one."""
    if context.driver is None:
        raise NotChecked("the app's protocol is not known")
    try:
        is_used = await context.driver.try_connection()
    except ConnectionFailed as exc:
        return [found("websocket-blocked", str(exc))]
    if not is_used:
        raise NotApplicable("the app's protocol needs none")
    return []
