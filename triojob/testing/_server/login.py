"""The app's login: a form, and the cookies that identify a user."""

from __future__ import annotations

import http.cookies
import secrets
import urllib.parse

from .description import App
from .http import ServerRequest, ServerResponse


class Logins:
    """The users who have logged in."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._users: dict[str, str] = {}
        """User names by token."""
        self._cookie_id = secrets.token_urlsafe(8)

    def user_of(self, request: ServerRequest) -> str | None:
        """Return the name of the user who sent a request, if it has one of our cookies."""
        cookies = http.cookies.SimpleCookie(request.headers.get("cookie", ""))
        for name in self._cookie_names():
            if name in cookies and cookies[name].value in self._users:
                return self._users[cookies[name].value]
        return None

    def _cookie_names(self) -> tuple[str, str]:
        return f"access-token-{self._cookie_id}", f"access-token-unsecure-{self._cookie_id}"

    def log_in(self, request: ServerRequest, home: str) -> ServerResponse:
        """Check a form; an app without a login redirects to its ``home``."""
        if self._app.auth is None:
            return ServerResponse(302, headers=[("location", home)])
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if (form.get("username"), form.get("password")) != self._app.auth:
            return ServerResponse(400, {"detail": "Incorrect credentials."})
        token = secrets.token_urlsafe(16)
        self._users[token] = form["username"]
        secure, unsecure = self._cookie_names()
        cookies = [
            f"{secure}={token}; HttpOnly; Path=/; SameSite=none; Secure",
            f"{unsecure}={token}; HttpOnly; Path=/; SameSite=lax",
        ]
        headers = [("set-cookie", cookie) for cookie in cookies]
        return ServerResponse(200, {"success": True}, headers=headers)

    def forget(self) -> None:
        """Log all users out."""
        self._users.clear()
