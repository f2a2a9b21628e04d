"""Each fault at each moment of a call ends as the table says, and leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.reliability.cells import Cell, cells
from tests.reliability.conftest import protocol
from tests.reliability.driving import Rig, run

CELLS = cells(protocol())


@pytest.mark.parametrize("cell", [c for c in CELLS if c.expected], ids=lambda cell: cell.name)
async def test_a_fault_at_a_moment(cell: Cell, rig: Rig) -> None:
    assert await run(cell, rig) == cell.expected
