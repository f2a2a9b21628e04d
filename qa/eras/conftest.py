"""The server of an era, and the record of what was found on it.

`TRIOJOB_ERA_PYTHON` is the Python whose Gradio serves; without it, the one that runs the tests.
`TRIOJOB_ERA_RESULTS` is a file to write the record into, for `write_table.py`, and
`TRIOJOB_ERA_DATE` is the day as of which the release was installed, for the record.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.eras.support import PASSWORD, USERNAME, WAITING, Era
from tests.support.gradio import GradioProcess

APP = Path(__file__).parent / "app.py"
PYTHON = os.environ.get("TRIOJOB_ERA_PYTHON") or sys.executable
RESULTS = os.environ.get("TRIOJOB_ERA_RESULTS")
DATE = os.environ.get("TRIOJOB_ERA_DATE", "")


class EraServer:
    """The era's server, started when it is needed, and again after it was killed."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._process: GradioProcess | None = None

    def process(self) -> GradioProcess:
        if self._process is None or self._process.process.poll() is not None:
            flags = (str(WAITING), USERNAME, PASSWORD)
            self._process = GradioProcess(flags, self._env, python=PYTHON, app=APP)
        return self._process

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()


class Record:
    """What was found on this era's server, test by test."""

    def __init__(self) -> None:
        self.release: dict[str, str] = {}
        self.findings: list[dict[str, str]] = []
        self.started = time.monotonic()

    def write(self, path: Path) -> None:
        found = {
            **self.release,
            "date": DATE,
            "seconds": round(time.monotonic() - self.started),
            "findings": self.findings,
        }
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


_RECORD = pytest.StashKey[Record]()
_ERA = pytest.StashKey[Era]()


def _record(config: pytest.Config) -> Record:
    return config.stash.setdefault(_RECORD, Record())


@pytest.fixture(scope="session")
def _era_server(_gradio_env: dict[str, str]) -> Iterator[EraServer]:
    server = EraServer(_gradio_env)
    yield server
    server.end()


@pytest.fixture
def era(_era_server: EraServer, request: pytest.FixtureRequest) -> Era:
    """Give the era's server, which all tests share."""
    era = Era(_era_server.process())
    request.node.stash[_ERA] = era
    _record(request.config).release = {"release": era.release, "protocol": era.protocol}
    return era


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Note what a test found."""
    report: pytest.TestReport = yield
    marker = item.get_closest_marker("behaviour")
    if marker is not None and (call.when == "call" or report.outcome == "failed"):
        era = item.stash.get(_ERA, None)
        group, name = marker.args
        state = "works" if report.passed else "fails"
        instead = era.instead_of_it if era is not None and report.passed else None
        _record(item.config).findings.append(
            {"group": group, "behaviour": name, "state": state, "instead": instead or ""}
        )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if RESULTS is not None:
        _record(session.config).write(Path(RESULTS))
