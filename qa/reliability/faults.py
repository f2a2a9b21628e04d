"""What can go wrong on the way, and the answers that a gateway gives in the server's stead."""

from __future__ import annotations

from qa.reliability.harm import Fault

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


# --- The faults of the matrix ---

MIDDLE = 170
"""So many bytes are more than an answer's head, and less than most of the answers."""

FAULTS = (
    Fault("latency", delay=0.3),
    Fault("jitter", jitter=0.04),
    Fault("slow drip", piece=41, jitter=0.004),
    Fault("never arrives", heard=False),
    Fault("reset at byte 0", cut=0),
    Fault("reset at byte 20", cut=20),
    Fault("reset at byte 170", cut=MIDDLE),
    Fault("ended at byte 0", cut=0, end="end"),
    Fault("ended at byte 170", cut=MIDDLE, end="end"),
    Fault("closed in good order", cut=0, end="close"),
    Fault("silence", cut=0, end="silence"),
    Fault("silence, unheard", heard=False, end="silence"),
    Fault("silence at byte 170", cut=MIDDLE, end="silence"),
    Fault("doubled message", frames="doubled"),
    Fault("swapped messages", frames="swapped"),
    *(Fault(name, reply=answer) for name, answer in REFUSALS.items()),
    Fault("wrong content type", reply=reply(200, kind="text/html")),
    Fault("untrusted certificate", untrusted=True),
    Fault("broken TLS record", cut=0, end="garbage"),
    Fault("server restarted", restart=True),
    Fault("session lost", elsewhere=True),
    Fault("queue full", full=True),
)
