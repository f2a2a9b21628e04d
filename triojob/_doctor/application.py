"""The release of Gradio, and the app's own settings."""

from __future__ import annotations

from .._exceptions import TriojobError
from ..gradio.protocol.messages import decode_object
from .catalog import found
from .context import Context, NotChecked
from .findings import Finding


async def release(context: Context) -> list[Finding]:
    """Does the release miss what clients rely on?"""
    app = context.app
    if context.driver is None or context.driver.cancels:
        return []
    saw = f"the app runs Gradio {app.version}, with the protocol {app.protocol}"
    return [found("old-release", saw, version=app.version, protocol=app.protocol)]


async def errors(context: Context) -> list[Finding]:
    """Does the app hide what its functions raise?"""
    shows = context.app.config.get("show_error")
    if shows is None:
        raise NotChecked("this release does not say whether it shows errors")
    if shows:
        return []
    return [found("errors-hidden", "the app's configuration says show_error: false")]


async def state(context: Context) -> list[Finding]:
    """Which endpoints keep State?  Their limits are not in any description."""
    app = context.app
    names = [
        name
        for name, info in app.endpoints(all_endpoints=True).items()
        if not isinstance(info, TriojobError) and info.stateful
    ]
    if not names:
        return []
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    saw = f"{len(names)} of {len(app.names(all_endpoints=True))} endpoints keep State: {shown}"
    return [found("state", saw, endpoints=names[:5], count=len(names))]


async def queue(context: Context) -> list[Finding]:
    """How many calls wait?  Only a call shows whether the queue is full."""
    response = await context.get("/queue/status")
    if response.status != 200:
        raise NotChecked(f"the app does not say how many calls wait (status {response.status})")
    size = decode_object(response.body, "the status of the queue").get("queue_size")
    if not isinstance(size, int):
        raise NotChecked("the app does not say how many calls wait")
    if not size:
        return []
    return [found("queue-waiting", f"calls that wait in the app's queue: {size}", size=size)]


async def rendering(context: Context) -> list[Finding]:
    """Does a Node server render the app's pages?"""
    response = await context.get("", root=True)
    if response.header("x-sveltekit-page") is None and b"/_app/immutable/" not in response.body:
        return []
    return [found("node-server", "the app's page was rendered by a Node server (SSR)")]
