"""Does the hub know the Space, and does it run?"""

from __future__ import annotations

from .._exceptions import NetworkError, ProtocolError, SpaceError, TooManyRequests
from ..gradio.spaces.resolve import look_up
from ..gradio.spaces.stages import Step, stage_error, step_for
from .catalog import found
from .context import Context, NotApplicable
from .findings import Finding


async def space(context: Context) -> list[Finding]:
    """Request the stage of the Space from the hub; the Space itself receives no request."""
    source, token = context.access.source, context.access.token
    if source.space is None:
        raise NotApplicable("the app is given by its own URL")
    try:
        runtime, app = await look_up(source.space, source.hub, token, context.access.connecting())
        step = step_for(runtime.stage)
        if step is Step.OPEN:
            context.base = app()
            return []
    except SpaceError as exc:
        return [found("space-missing", str(exc))]
    except (NetworkError, ProtocolError, TooManyRequests) as exc:
        return [found("hub-unavailable", str(exc))]
    if step is Step.GIVE_UP:
        problem = str(stage_error(source.space, source.hub, runtime))
        return [found("space-failed", problem, stage=runtime.stage)]
    code = "space-asleep" if step is Step.WAKE else "space-building"
    return [found(code, f"the hub says that it is {runtime.stage}", stage=runtime.stage)]
