"""Does the app respond, accept the login, and describe itself?"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from .._exceptions import (
    AuthenticationError,
    MissingDependency,
    NetworkError,
    ProtocolError,
    TriojobError,
    shorten,
)
from ..gradio.http.client import is_json
from ..gradio.http.response import Response
from ..gradio.http.urls import public_part, same_origin
from ..gradio.protocol.messages import is_object
from ..gradio.protocol.refusals import refusal
from ..gradio.protocol.registry import make_drivers
from ..gradio.schema.discovery import discover
from ..gradio.spaces.names import is_space_url
from .catalog import found
from .context import REFUSED, Context, detail_of, status_of
from .findings import Finding
from .network import finding_of

_MOST_PATHS = 4
"""How many other paths to look for the app at."""


async def description(context: Context) -> list[Finding]:
    """Read the app's description, as each client does first."""
    http = context.http
    try:
        response = await http.request("GET", "config", root=True)
    except NetworkError as exc:
        return [finding_of(exc)]
    _note(context, response)
    wants_login = response.status == 401 and is_object(detail_of(response))
    login = context.access.auth
    if wants_login and login is None:
        return [found("login-required", "GET /config has status 401", status=401)]
    if not wants_login and (response.status != 200 or not is_json(response)):
        return [await _of_response(context, response)]
    try:
        context.app = app = await discover(http, login if wants_login else None)
    except NetworkError as exc:
        return [finding_of(exc)]
    except TriojobError as exc:
        return [_of_discovery(exc)]
    try:
        context.driver = make_drivers(app.protocol, app.version, http).queue
    except MissingDependency as exc:
        return [found("library-missing", str(exc))]
    except ProtocolError as exc:
        return [found("unknown-protocol", str(exc), protocol=app.protocol)]
    return []


def _note(context: Context, response: Response) -> None:
    context.server = shorten(response.header("server") or "", 60)
    cookies = response.header("set-cookie")
    if cookies is not None:
        context.set_cookies.append(cookies)


def _of_discovery(error: TriojobError) -> Finding:
    """Return the finding of an app that has responded once, but not with its whole description."""
    status = status_of(error)
    if isinstance(error, AuthenticationError):
        if status is None:
            return found("login-refused", str(error))
        return found("login-not-kept", f"the login was accepted, and then: {error}", status=status)
    if status in REFUSED:
        return found("rate-limit", f"the first request passed, and then: {error}", status=status)
    if status is not None:
        return found("description-broken", str(error), status=status)
    return found("not-gradio", str(error))


async def _of_response(context: Context, response: Response) -> Finding:
    """Return the finding of a response to ``GET /config`` that is not the app's description."""
    base, status = context.http.base, response.status
    if 300 <= status < 400:
        return _of_redirect(base, response)
    if status == 400 and b"HTTPS port" in response.body:  # nginx
        return found("wrong-scheme", _words(base, response), status=status)
    if status == 401:
        scheme = shorten(response.header("www-authenticate") or "of no kind", 60)
        saw = f"GET {base}config has status 401, which asks for a login: {scheme}"
        return found("proxy-login", saw, status=status)
    if status == 403:
        return found("access-denied", _words(base, response), status=status)
    if status == 429:
        return found("rate-limit", _words(base, response), status=status)
    if is_space_url(base) and status in (404, 503):
        code = "space-missing" if status == 404 else "space-asleep"
        return found(code, _words(base, response), status=status)
    if status == 500:
        return found("description-broken", _words(base, response), status=status)
    if status > 500:
        return found("app-down", _words(base, response), status=status)
    place = await _other_place(context)
    if place is not None:
        saw = f"there is an app at {place}, but not at {base} (status {status})"
        return found("wrong-path", saw, status=status, url=place)
    return found("not-gradio", _words(base, response), status=status)


def _of_redirect(base: str, response: Response) -> Finding:
    target = urljoin(base + "config", response.location or "")
    shown = public_part(target)
    saw = f"GET {base}config has status {response.status} and redirects to {shown}"
    here, there = urlsplit(base), urlsplit(target)
    is_same_host = (here.scheme, there.scheme) == ("http", "https") and (
        here.hostname == there.hostname
    )
    code = "wrong-scheme" if is_same_host else "redirect"
    return found(code, saw, status=response.status, location=shown)


def _words(base: str, response: Response) -> str:
    return str(refusal(response, f"GET {base}config", ""))


async def _other_place(context: Context) -> str | None:
    """Return the URL of an app that is above the given path, or where that path redirects to."""
    http = context.http
    page = await http.request("GET", "", root=True)
    target = urljoin(http.base, page.location or "")
    candidates = [target] if 300 <= page.status < 400 and same_origin(target, http.base) else []
    candidates += _parents(http.base)
    for base in candidates[:_MOST_PATHS]:
        other = context.open(base if base.endswith("/") else base + "/")
        response = await other.request("GET", "config", root=True)
        if response.status == 200 and is_json(response) and b'"components"' in response.body:
            return other.base
    return None


def _parents(base: str) -> Iterator[str]:
    """Yield the URLs above a URL, the nearest first."""
    parts = urlsplit(base)
    steps = [step for step in parts.path.split("/") if step]
    while steps:
        steps.pop()
        path = "".join(f"{step}/" for step in steps)
        yield f"{parts.scheme}://{parts.netloc}/{path}"
