"""The answers that a proxy or a gateway gives in the server's stead."""

from __future__ import annotations

PAGE = "<!doctype html><title>Please stand by</title>"

WORDS = {
    200: "OK",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


def reply(
    status: int, body: str = PAGE, *, kind: str = "application/json", fields: str = ""
) -> bytes:
    """Return a whole HTTP answer, after which the connection ends."""
    head = (
        f"HTTP/1.1 {status} {WORDS[status]}\r\ncontent-type: {kind}\r\n{fields}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return (head + body).encode()


RETRY_AFTER = "retry-after: 7\r\n"
REFUSALS = {
    f"{status}{', Retry-After' if fields else ''}": reply(status, kind="text/html", fields=fields)
    for status in (429, 500, 502, 503)
    for fields in ("", RETRY_AFTER)
}
"""What is not the app's own answer: with and without a word on when to come again."""
