"""What the doctor says about Spaces; it wakes none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.faults import Answer
from tests.servers.hub import TOKEN, Origins
from tests.spaces.support import SPACE
from triojob import Diagnosis, diagnose


async def examine(origins: Origins, src: str = SPACE, **options: Any) -> Diagnosis:
    origins.host.app.config_overrides["show_error"] = True
    transport = origins.hub.transport()
    return await diagnose(src, hf_endpoint=origins.hub.url, transport=transport, **options)


@pytest.mark.parametrize(
    "stage, code, severity",
    [
        ("SLEEPING", "space-asleep", "warning"),
        ("STOPPED", "space-asleep", "warning"),
        ("BUILDING", "space-building", "warning"),
        ("PAUSED", "space-failed", "error"),
        ("RUNTIME_ERROR", "space-failed", "error"),
    ],
)
async def test_space_that_does_not_run(origins, autojump_clock, stage, code, severity):
    origins.space.stages = [stage, "RUNNING"] if severity == "warning" else [stage]
    diagnosis = await examine(origins)
    (finding,) = diagnosis.findings
    assert (finding.code, finding.severity) == (code, severity)
    assert stage in finding.saw
    assert finding.evidence["stage"] == stage
    assert [check.name for check in diagnosis.checks if check.outcome == "done"] == ["the hub"]
    assert len(origins.hub.requests) == 1
    assert origins.host.requests == []


async def test_space_that_runs_is_examined(origins, autojump_clock):
    diagnosis = await examine(origins)
    assert diagnosis.findings == ()
    assert diagnosis.url == f"{origins.host.url}/"


async def test_private_space_needs_a_token(origins, autojump_clock):
    origins.space.private = True
    (finding,) = (await examine(origins)).findings
    assert finding.code == "space-missing"
    assert (await examine(origins, token=TOKEN)).findings == ()


async def test_failing_hub_does_not_blame_space(origins, autojump_clock):
    origins.hub.fault("GET", "/api", Answer(500, b"oops"))
    (finding,) = (await examine(origins)).findings
    assert (finding.code, finding.severity) == ("hub-unavailable", "error")
