"""The hub's status of a Space, and the action for each stage; no I/O.

Wire sources: ``GET /api/spaces/{id}`` and ``GET /api/spaces/{id}/runtime`` of the hub, as
huggingface_hub 2.4 (``hf_api.py``, ``_space_api.py``) and @gradio/client 2 read them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..._exceptions import (
    AuthenticationError,
    ProtocolError,
    SpaceError,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    short_repr,
    shorten,
)
from ..protocol.messages import Json, is_object
from .names import is_space_id, is_space_url

_FIRST_PAUSE = 1.0
_GROWTH = 1.5
_LONGEST_PAUSE = 15.0
_JITTER = 0.2
"""The relative jitter of an interval, so that clients don't send requests in step."""


@dataclass(frozen=True)
class SpaceStatus:
    """The status of a Space that a client waits for, passed to ``Client(on_wait=)``."""

    space: str
    """The Space's name, ``"owner/name"``."""
    stage: str
    """The hub's name for its stage, such as ``"BUILDING"`` or ``"SLEEPING"``."""
    ready: bool
    """Whether the wait is over."""
    waited: float
    """For how many seconds the client has waited."""
    next_look: float | None
    """The seconds until the client's next check, or None if the Space is ready."""


class Step(enum.Enum):
    """A client's action for a stage."""

    OPEN = enum.auto()
    WAIT = enum.auto()
    WAKE = enum.auto()
    """Wait, and send the Space a request to wake it."""
    GIVE_UP = enum.auto()


_STEPS = {
    "RUNNING": Step.OPEN,
    # The previous version keeps serving.
    "RUNNING_BUILDING": Step.OPEN,
    "RUNNING_APP_STARTING": Step.OPEN,
    "BUILDING": Step.WAIT,
    "APP_STARTING": Step.WAIT,
    "STARTING": Step.WAIT,
    "SLEEPING": Step.WAKE,
    "STOPPED": Step.WAKE,
}

_ADVICE = {
    "NO_APP_FILE": "it has no app to run, so its owner has to add one",
    "CONFIG_ERROR": "its configuration is invalid, so its owner has to fix its README.md",
    "BUILD_ERROR": "it could not be built; see the log of the build on {page}",
    "RUNTIME_ERROR": "its app has crashed; see its log and restart it on {page}",
    "PAUSED": "its owner has paused it and can restart it; you can copy it with duplicate()",
    "DELETING": "it is being deleted",
}


def step_for(stage: str) -> Step:
    """Return the action for a stage; for an unknown stage, waiting is not known to help."""
    return _STEPS.get(stage, Step.GIVE_UP)


def pause_before(look: int, chance: float) -> float:
    """Return the seconds to wait before a check of the stage: increasing, up to a limit.

    Args:
        look: How many checks found the same stage before.
        chance: A random number from 0 to 1.
    """
    # The exponent is limited: a wait may be long, but a float may overflow.
    pause = min(_FIRST_PAUSE * _GROWTH ** min(look, 20), _LONGEST_PAUSE)
    return pause * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(frozen=True)
class Runtime:
    """The state of a Space."""

    stage: str
    problem: str
    """The hub's description of the problem, or an empty text."""


def read_runtime(answer: object, space: str) -> Runtime:
    """Read the runtime of a Space from the hub's response.

    Raises:
        ProtocolError: The response contains none.
    """
    stage = answer.get("stage") if is_object(answer) else None
    if not is_object(answer) or not isinstance(stage, str) or not stage:
        raise ProtocolError(
            f"the hub's response has no stage of the Space {space}: {short_repr(answer)}; "
            "check hf_endpoint="
        )
    problem = answer.get("errorMessage")
    return Runtime(shorten(stage, 50), shorten(problem) if isinstance(problem, str) else "")


def read_host(answer: Json, space: str) -> str:
    """Return the hub's URL for a Space's app.

    Raises:
        ProtocolError: The response contains none.
    """
    host = answer.get("host")
    if not isinstance(host, str) or not host:
        raise ProtocolError(
            f"the hub's response has no host of the Space {space}: {short_repr(host)}"
        )
    return host


def check_host(host: str, space: str, hub: str) -> None:
    """Refuse a host that is less secure than the hub that names it.

    Raises:
        ProtocolError: The hub's URL is https, and the host's is not.
    """
    if hub.startswith("https:") and not host.startswith("https:"):
        raise ProtocolError(
            f"the hub's response has a host of the Space {space} without TLS: {host}"
        )


def stage_error(space: str, hub: str, runtime: Runtime) -> SpaceError:
    """Return the error for a stage that waiting does not end."""
    page = f"{hub}spaces/{space}"
    advice = _ADVICE.get(
        runtime.stage,
        "which this version of triojob doesn't know; if {page} works, pass the URL of its app",
    ).format(page=page)
    words = f" (the hub reports: {runtime.problem})" if runtime.problem else ""
    return SpaceError(
        f"the Space {space} is in the stage {runtime.stage}: {advice}{words}",
        space=space,
        stage=runtime.stage,
    )


def hub_refusal(
    space: str, status: int, *, location: str | None, retry_after: str | None, has_token: bool
) -> TriojobError:
    """Return the error for a response of the hub whose status is not 200."""
    if status in (401, 403, 404):
        hint = (
            "the token passed as token= may not read it"
            if has_token
            else "it is private; pass a token that may read it as token="
        )
        return SpaceError(
            f"the hub shows no Space {space} (status {status}): it does not exist, or "
            f"{hint}; the URL of an app must start with http:// or https://",
            space=space,
        )
    if status == 429:
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return TooManyRequests(
            f"looking up the Space {space}: the hub limits the rate of requests (429)",
            retry_after=seconds,
        )
    if 300 <= status < 400:
        # A renamed Space, for example.
        target = urlsplit(location or "").path.removeprefix("/api/spaces/").removesuffix("/runtime")
        if is_space_id(target):
            return SpaceError(
                f"the hub redirects from the Space {space} to {target}; if you mean that Space, "
                "pass its name",
                space=space,
            )
    return UnexpectedResponse(
        f"looking up the Space {space}: the hub responded with status {status}", status=status
    )


def refusal_of_page(url: str, status: int, doing: str) -> TriojobError | None:
    """Return the error for a page in the place of an app's response; None for an unknown page."""
    if status == 401:
        # Gradio itself would report this as JSON.
        return AuthenticationError(
            f"{doing}: {url} requires a login (401), but not that of a Gradio app; pass "
            "auth=(user, password), or, for a private Space, a token that may read it as token="
        )
    if not is_space_url(url):
        return None
    if status in (403, 404):
        return AuthenticationError(
            f"{doing}: {url} responds with status {status}: the Space does not exist, or it is "
            "private; pass a token that may read it as token="
        )
    if status not in (200, 502, 503, 504):
        return None
    return UnexpectedResponse(
        f"{doing}: {url} responds with status {status} and a web page: the Space may be asleep or "
        'being built; open it by its name, Client("owner/name"), to wait for it',
        status=status,
    )
