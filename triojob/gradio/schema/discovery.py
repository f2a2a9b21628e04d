"""Logs in, and reads an app's description over HTTP."""

from __future__ import annotations

from ..._exceptions import AuthenticationError, UnexpectedResponse, shorten
from ..http.client import HTTP, is_json
from ..http.request import Ready
from ..protocol.messages import Json, decode_object
from ..protocol.refusals import refusal
from .app import AppInfo


async def discover(
    http: HTTP, auth: tuple[str, str] | None, sending: Ready | None = None
) -> AppInfo:
    """Log in, if necessary, and read the app's description.

    Args:
        sending: Awaited before the app's description is requested.

    Raises:
        AuthenticationError: The app requires a login, or refused this one.
        NetworkError: The network failed.
        ProtocolError: The server is not a Gradio app.
    """
    if auth is not None:
        await _log_in(http, auth)
    config = await _get_json(http, "config", root=True, sending=sending)
    prefix = config.get("api_prefix")
    http.prefix = prefix if isinstance(prefix, str) else ""
    try:
        info = await _get_json(http, "/info?all_endpoints=True", root=False)
    except UnexpectedResponse as exc:
        if exc.status != 404:
            raise
        # Before 3.36 there was no /info; /config is enough to call functions with positional
        # arguments.
        info = Json(named_endpoints={})
    app = AppInfo(config, info)
    if app.hides_public:
        app = AppInfo(config, info, await _get_json(http, "/info", root=False))
    return app


async def _get_json(http: HTTP, path: str, *, root: bool, sending: Ready | None = None) -> Json:
    # Without a limiter: after a restart, calls that hold one wait for this response.
    response = await http.request("GET", path, root=root, ready=sending)
    doing = f"reading /{path.strip('/').partition('?')[0]}"
    if not is_json(response):
        from ..spaces.stages import refusal_of_page

        error = refusal_of_page(http.base, response.status, doing)
        if error is not None:
            raise error
    if response.status != 200:
        raise refusal(response, doing, "")
    if not is_json(response):
        raise UnexpectedResponse(
            f"{doing}: this is not the URL of a Gradio app: the response is "
            f"{shorten(response.content_type or 'of no type')}: {shorten(response.body)}",
            status=response.status,
        )
    return decode_object(response.body, f"the response to {doing}")


async def _log_in(http: HTTP, auth: tuple[str, str]) -> None:
    username, password = auth
    response = await http.request(
        "POST",
        "login",
        form={"username": username, "password": password},
        root=True,
    )
    if response.status < 400:
        # An app without a login redirects to itself.
        return
    # With 422, it reports that an empty password is missing.
    if response.status == 400 or (response.status == 422 and not (username and password)):
        raise AuthenticationError(f"the app refused the login of user {username!r}")
    raise refusal(response, "logging in", "")


def is_login(auth: object) -> bool:
    """Return whether ``auth`` is a user name and a password."""
    match auth:
        case [str(), str()]:
            return True
        case _:
            return False
