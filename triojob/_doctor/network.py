"""Findings of a connection that failed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from .._exceptions import (
    ConnectionFailed,
    ConnectionTimeout,
    TriojobError,
    shorten,
)
from .catalog import found
from .findings import Finding

_TLS_CODES = {
    9: "tls-expired",  # not yet valid: one of the two clocks is wrong
    10: "tls-expired",
    18: "tls-self-signed",
    19: "tls-self-signed",
    62: "tls-wrong-host",
    63: "tls-wrong-host",
    64: "tls-wrong-host",
}
"""The codes of OpenSSL's verification (``X509_V_ERR_...``)."""


def finding_of(error: TriojobError) -> Finding:
    """Return the finding of a request that failed without a response."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = _TLS_CODES.get(cause.verify_code, "tls-untrusted")
            return found(
                code,
                f"the certificate is refused: {cause.verify_message}",
                verify_code=cause.verify_code,
            )
        if isinstance(cause, ssl.SSLError):
            # The server has sent something that is not TLS.
            code = "wrong-scheme" if cause.reason == "WRONG_VERSION_NUMBER" else "tls-failed"
            return found(code, f"the TLS handshake fails: {shorten(cause)}")
    if isinstance(error, ConnectionFailed):
        return found("unreachable", str(error))
    if isinstance(error, ConnectionTimeout):
        return found("no-response", str(error))
    return found("connection-broken", str(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
