"""What a diagnosis consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Side = Literal["app", "server", "proxy", "client", "Space"]
Outcome = Literal["done", "not_applicable", "not_checked", "failed"]


@dataclass(frozen=True)
class Remedy:
    """One way to remove the cause of a finding."""

    side: Side
    """Whose setting it is: the app's (``launch()``), the server's that runs the app (uvicorn), the
    proxy's in front of it, the client's, or the Space's."""
    change: str
    """What to change."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    code: str
    """Its name for programs, which stays the same, such as ``"buffering"``."""
    severity: Severity
    """``"error"``: calls fail.  ``"warning"``: some calls fail, or are late.  ``"note"``: nothing
    is wrong, but it is good to know."""
    saw: str
    """What was seen, with numbers; without secrets."""
    means: str
    """What follows from it."""
    remedies: tuple[Remedy, ...]
    evidence: Mapping[str, object]
    """The numbers and names in `saw`, for programs."""


@dataclass(frozen=True)
class CheckResult:
    """How a check ended."""

    name: str
    outcome: Outcome
    """``"done"``; ``"not_applicable"``, as there is nothing to check; ``"not_checked"``, as it
    could not be done; or ``"failed"``, because of an error that says nothing about the app."""
    reason: str | None
    """Why it is not done."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`."""

    url: str
    """The app's URL, without secrets."""
    title: str
    """The app's title; empty if it is not known, as are the next three."""
    version: str
    """The app's version of Gradio."""
    protocol: str
    server: str
    """The header ``Server`` of its responses."""
    findings: tuple[Finding, ...]
    """In the order of the checks."""
    checks: tuple[CheckResult, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The errors and warnings."""
        return tuple(finding for finding in self.findings if finding.severity != "note")
