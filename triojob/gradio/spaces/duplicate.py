"""Copies Spaces with huggingface_hub, which is an optional dependency."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import trio

from ..._core.runs import require_task
from ..._exceptions import (
    ConnectionLost,
    ErrorResponse,
    MissingDependency,
    SpaceError,
    TooManyRequests,
    TriojobError,
    UnexpectedResponse,
    raise_from,
    shorten,
)
from ..._secrets import Secrets
from ..http.urls import parse_url
from .names import hub_url, is_space_id, space_of_page
from .tokens import find_token

logger: logging.Logger = logging.getLogger("triojob")


async def duplicate(
    space: str,
    to: str | None = None,
    *,
    token: str | bool,
    private: bool = True,
    hardware: str | None = None,
    sleep_timeout: int | None = None,
    secrets: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    exist_ok: bool = False,
    hf_endpoint: str | None = None,
) -> str:
    """Copy a Space into an account; return the copy's name, which `Client` takes.

    The hub starts to build the copy, and `Client` waits for the end of the build.  Paid hardware is
    charged until the copy is paused, asleep or deleted.

    Args:
        space: The Space to copy: its name, or the URL of its page.
        to: The copy's name, ``"owner/name"`` or ``"name"``; None for the same name in the account
            of the token.
        token: A token with write access there, or True for the token saved on this machine.
        private: Whether only its owner can use the copy.
        hardware: Its hardware, such as ``"t4-small"``; None for the hub's free hardware.
        sleep_timeout: The seconds without a request after which it falls asleep; None for the hub's
            default for that hardware.
        secrets, variables: Environment variables of the copy, hidden and visible.
        exist_ok: Whether an existing copy is accepted: it is then used as it is, and all other
            settings are ignored.
        hf_endpoint: As for `Client`.

    Raises:
        MissingDependency: huggingface_hub is not installed: ``pip install "triojob[spaces]"``.
        ValueError: A name, the hub or the token is invalid, or no token is saved.
        SpaceError: The hub refuses: a Space is missing, the token has no permission, or the copy
            exists already.
        TooManyRequests, UnexpectedResponse: The hub refuses for another reason.
        NetworkError: The network failed; the copy may have been made.

    huggingface_hub blocks, so it runs in a worker thread.  Being cancelled ends the waiting at
    once, but the thread can't be stopped, and the hub may still make the copy: the logger
    ``triojob`` then warns about it.
    """
    require_task("duplicate()")
    base = parse_url(hub_url(hf_endpoint))
    if not is_space_id(space):
        found = space_of_page(parse_url(space), base)
        if found is None:
            raise ValueError(f"the name of a Space must be owner/name, not {space!r}")
        space = found
    if to is not None and not is_space_id(to if "/" in to else f"owner/{to}"):
        raise ValueError(f"the name of a copy must be owner/name or name, not {to!r}")
    given = find_token(token)
    if given is None:
        raise ValueError("duplicate() writes to an account, so it needs token=")
    known = Secrets()
    known.add(given.reveal(), *(secrets or {}).values())
    waited_for = True

    def copy() -> str:
        made = _copy(
            base.rstrip("/"),
            given.reveal(),
            space,
            to,
            exist_ok,
            private=private,
            space_hardware=hardware,
            space_sleep_time=sleep_timeout,
            space_secrets=_pairs(secrets),
            space_variables=_pairs(variables),
        )
        if not waited_for:
            logger.warning("the copy %s was created after its duplicate() was cancelled", made)
        return made

    try:
        return await trio.to_thread.run_sync(copy, abandon_on_cancel=True)
    finally:
        waited_for = False


def _pairs(values: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    return None if values is None else [{"key": k, "value": v} for k, v in values.items()]


def _copy(
    endpoint: str,
    token: str,
    space: str,
    to: str | None,
    exist_ok: bool,  # noqa: FBT001 - only `duplicate` calls this
    **settings: Any,
) -> str:
    """Make the copy; return its name.  Runs in a worker thread."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HTTPError,  # pyright: ignore[reportPrivateImportUsage] - httpx's or its successor's
            OfflineModeIsEnabled,
        )
    except ImportError as exc:
        raise MissingDependency(
            "duplicate() needs huggingface_hub, which is not installed; "
            "install it with: pip install 'triojob[spaces]'"
        ) from exc
    api = HfApi(endpoint=endpoint, token=token)
    try:
        made = api.duplicate_repo(space, to, repo_type="space", exist_ok=exist_ok, **settings)
    except HfHubHTTPError as exc:
        words = shorten(exc.server_message or "no reason given")
        error = _refusal(exc.response.status_code, words, space)
        error.response = ErrorResponse(exc.response.status_code, words, of_call=False)
        # Not chained: the exception holds the request, with the token.
        raise_from(error, None)
    # `HTTPError` is the base of its HTTP library's exceptions.
    except (OfflineModeIsEnabled, HTTPError) as exc:
        lost = f"can't connect to {endpoint}, or lost the connection: {shorten(exc)}"
        raise_from(ConnectionLost(f"copying the Space {space}: {lost}"), None)
    name: str = made.repo_id
    return name


def _refusal(status: int, words: str, space: str) -> TriojobError:
    if status in (401, 403, 404):
        return SpaceError(
            f"the hub refused to copy the Space {space} (status {status}): it does not exist, or "
            f"the token may not read it, or not write to the account of the copy: {words}",
            space=space,
        )
    if status == 409:
        return SpaceError(
            f"a copy of the Space {space} with that name already exists; choose another name with "
            "to=, or use the existing copy with exist_ok=True",
            space=space,
        )
    if status == 429:
        return TooManyRequests(f"copying the Space {space}: the hub limits the rate of requests")
    return UnexpectedResponse(
        f"copying the Space {space}: the hub responded with status {status}: {words}", status=status
    )
