"""The report of ``triojob map``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from triojob import Client

from .._live._load import Load
from .._live._recorder import Outcome, RunRecorder
from .._live._report import Heading, ReportFile, report
from .connecting import without_secrets


class MapReport:
    """Records a run, and writes its report.

    Args:
        file: Where to write it.
        client: The open client of the calls.
        endpoint: The endpoint's name.
        before: How many rows were finished by earlier runs.
    """

    def __init__(self, file: ReportFile, client: Client, endpoint: str, before: int) -> None:
        self._file = file
        self._url = client.src
        self._endpoint = endpoint
        self._before = before
        self._recorder = RunRecorder(lambda: Load.of([client.statistics]))
        self.run = self._recorder.run

    def add(self, record: Mapping[str, Any]) -> None:
        """Record a row, given its line of the output."""
        error = record.get("error")
        kind = record["outcome"]
        outcome: Outcome = "ok" if error is None else "failed"
        self._recorder.note_end(
            "cancelled" if kind == "cancelled" else outcome,
            name=self._endpoint,
            title=lambda: f"row {record['row']}",
            seconds=record["seconds"],
            failure=None if error is None else (kind, ": ".join(error.values())),
        )

    def write(self, state: str) -> None:
        """Write the report.

        Args:
            state: How the run ended.

        Raises:
            OSError: The file can't be written.
        """
        command = shlex.join(["triojob", *without_secrets(sys.argv[1:])])
        facts = [("App", self._url), ("Command", command)]
        if self._before:
            facts.append(("Before", f"{self._before:,} rows were finished by earlier runs"))
        self._file.write(report(self._recorder, Heading(self._endpoint, state, facts, "rows")))
