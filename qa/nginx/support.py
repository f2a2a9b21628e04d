"""Servers of nginx, as the documentation has them and otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

NGINX = shutil.which("nginx")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx: nox -s nginx")

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ADVISED = (EXAMPLES / "nginx.conf").read_text(encoding="utf-8")
"""A server, as the documentation has it."""
ADVISED_FOR_WEBSOCKETS = ADVISED.replace(
    "proxy_http_version 1.1;",
    "proxy_http_version 1.1;\n" + (EXAMPLES / "nginx_websocket.conf").read_text(encoding="utf-8"),
)
PLAIN = "server { listen 8080; location / { proxy_pass http://127.0.0.1:7860; } }"
"""One with all of nginx's defaults.

It passes the chunks of uvicorn on as they arrive.  A second one in front of it collects: the first
responds to it in HTTP/1.0, without chunks.
"""

LIMITS = {
    "limit_conn": ("limit_conn_zone $server_port zone=few:1m;", "limit_conn few 10;"),
    "limit_req": (
        "limit_req_zone $server_port zone=few:1m rate=60r/s;",
        "limit_req zone=few burst=5 nodelay;",
    ),
    "429": (
        "limit_conn_zone $server_port zone=few:1m;",
        "limit_conn few 10; limit_conn_status 429;",
    ),
}


def with_rule(limit: str, server: str = ADVISED) -> str:
    """Return a server with one of `LIMITS`."""
    zone, rule = LIMITS[limit]
    return zone + server.replace("location / {", f"location / {{ {rule}", 1)


Behind = Callable[[str, str], str]
"""Starts nginx with such a server in front of an app; returns the URL there."""
