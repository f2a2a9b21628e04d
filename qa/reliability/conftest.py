"""The servers and the proxy of the matrix, and the sums at the end of a run."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import trustme

from qa.eras.conftest import APP, PYTHON
from qa.eras.support import PASSWORD, PROTOCOLS, USERNAME, WAITING, Era
from qa.reliability.cells import Cell, cells
from qa.reliability.driving import Rig
from qa.reliability.thread import ProxyThread
from tests.support.gradio import GradioProcess

RESULTS = os.environ.get("TRIOJOB_FAULTS_RESULTS")
"""A file to write what was found into, for `write_tables.py`."""


@cache
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


_FOUND = pytest.StashKey[dict[str, bool]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Note how each cell's test ended."""
    report: pytest.TestReport = yield
    cell = getattr(item, "callspec", None) and item.callspec.params.get("cell")
    if isinstance(cell, Cell) and (call.when == "call" or report.outcome == "failed"):
        found = item.config.stash.setdefault(_FOUND, {})
        found[cell.name] = report.passed and found.get(cell.name, True)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say of every cell of the matrix what became of it."""
    found = config.stash.get(_FOUND, None)
    if found is None:
        return
    matrix = cells(protocol())
    impossible = Counter(cell.impossible for cell in matrix if cell.impossible)
    ran = sum(cell.name in found for cell in matrix)
    left = len(matrix) - ran - impossible.total()
    write = terminalreporter.write_line
    terminalreporter.write_sep("=", f"faults x moments, {protocol()}, Gradio {release()}")
    write(
        f"{len(matrix)} cells: {sum(found.values())} as expected, {ran - sum(found.values())} not, "
        f"{left} left to `nox -s faults`, {impossible.total()} that can't be:"
    )
    for reason, count in impossible.most_common():
        write(f"  {count:4} {reason}")
    if RESULTS is not None:
        rows = [
            {
                "moment": cell.moment,
                "fault": cell.fault.name,
                "expected": cell.expected,
                "impossible": cell.impossible,
                "found": found.get(cell.name),
            }
            for cell in matrix
        ]
        result = {"release": release(), "protocol": protocol(), "cells": rows}
        Path(RESULTS).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
