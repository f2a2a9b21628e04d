"""The servers and the proxy of the matrix, and the sums at the end of a run."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.conftest import GradioProcess
from tests.eras.conftest import APP, PYTHON
from tests.eras.support import PASSWORD, PROTOCOLS, USERNAME, WAITING, Era
from tests.reliability.cells import Cell
from tests.reliability.driving import Rig
from tests.reliability.proxy import ProxyThread

RESULTS = os.environ.get("TRIOJOB_FAULTS_RESULTS")
"""A file to write what was found into, for `write_tables.py`."""


def release() -> str:
    """Return the release of Gradio that serves."""
    code = "from importlib.metadata import version; print(version('gradio'))"
    return subprocess.run(
        [PYTHON, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def protocol() -> str:
    """Return the protocol that this release speaks."""
    major, minor = release().split(".")[:2]
    return next(name for start, name in PROTOCOLS.items() if (int(major), int(minor)) >= start)


@pytest.fixture(scope="session")
def rig(_gradio_env: dict[str, str]) -> Iterator[Rig]:
    """Give the server of the era, and the proxy in front of it."""
    authorities = trustme.CA(), trustme.CA()
    contexts = []
    for authority in authorities:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        contexts.append(context)
    trust = ssl.create_default_context()
    authorities[0].configure_trust(trust)
    flags = (str(WAITING), USERNAME, PASSWORD)
    server = GradioProcess(flags, _gradio_env, python=PYTHON, app=APP)
    try:
        with ProxyThread((contexts[0], contexts[1])) as thread:
            yield Rig(Era(server), thread.proxy, trust)
    finally:
        server.kill()
