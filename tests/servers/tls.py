"""Certificates for servers on loopback, made on the spot by an authority that nobody knows."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Signs the certificates of servers."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def server(self, name: str) -> ssl.SSLContext:
        """Make the settings of a server with a certificate for ``name``, a host or an address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        return context

    def write(self, path: Path) -> None:
        """Write its certificate to a file."""
        self._authority.cert_pem.write_to_path(str(path))

    def client(self) -> ssl.SSLContext:
        """Make the settings of a client that knows the authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context
