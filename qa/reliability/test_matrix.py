"""Each fault at each moment of a call ends as the table says, and leaves nothing behind.

Between a client and a real server stands a proxy that does harm.  After each cell: no stream, no
connection and no task is left, the server runs nothing for the call any more and never ran it
twice, and once the fault is over the next call of the same client works.

By default a few cells run, which take a moment; ``TRIOJOB_FAULTS=all`` runs all that can be, and
``nox -s faults`` does so on a release of each protocol.
"""

from __future__ import annotations

import os

import pytest

from qa.eras.support import PROTOCOLS
from qa.reliability.cells import (
    CANCEL,
    COMPLETING,
    DOWNLOAD,
    JOIN,
    LISTEN,
    MOMENTS,
    QUEUED,
    RUNNING,
    STREAMING,
    UPLOAD,
    Cell,
    cells,
)
from qa.reliability.conftest import protocol
from qa.reliability.driving import Rig, run
from qa.reliability.faults import FAULTS

MATRIX = cells(protocol())
FEW = {
    *((moment, "reset at byte 0") for moment in MOMENTS),
    (JOIN, "queue full"),
    (JOIN, "untrusted certificate"),
    (JOIN, "429, Retry-After"),
    (LISTEN, "session lost"),
    (LISTEN, "wrong content type"),
    (QUEUED, "server restarted"),
    (RUNNING, "swapped messages"),
    (STREAMING, "broken TLS record"),
    (STREAMING, "silence"),
    (COMPLETING, "doubled message"),
    (CANCEL, "503"),
    (UPLOAD, "never arrives"),
    (DOWNLOAD, "ended at byte 170"),
}
CHOSEN = [
    cell
    for cell in MATRIX
    if cell.expected
    and (os.environ.get("TRIOJOB_FAULTS") == "all" or (cell.moment, cell.fault.name) in FEW)
]


@pytest.mark.parametrize("cell", CHOSEN, ids=lambda cell: cell.name)
async def test_a_fault_at_a_moment(cell: Cell, rig: Rig) -> None:
    assert await run(cell, rig) == cell.expected


def test_combinations_have_an_outcome_or_a_reason() -> None:
    assert len(MATRIX) == len({cell.name for cell in MATRIX}) == len(FAULTS) * len(MOMENTS)
    assert all(bool(cell.expected) != bool(cell.impossible) for cell in MATRIX)


def test_each_moment_and_fault_can_be() -> None:
    everywhere = [cell for name in PROTOCOLS.values() for cell in cells(name)]
    possible = [cell for cell in everywhere if cell.expected]
    assert {cell.moment for cell in possible} == set(MOMENTS)
    assert {cell.fault for cell in possible} == set(FAULTS)


def test_the_few_are_cells_of_the_matrix() -> None:
    assert {(cell.moment, cell.fault.name) for cell in MATRIX} >= FEW
