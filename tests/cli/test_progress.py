"""What is said of a long run while it runs."""

from __future__ import annotations

import pytest
import trio

from triojob._cli import progress as module
from triojob._cli.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


def test_the_rate_is_that_of_the_last_half_minute(clock: Clock) -> None:
    progress = Progress(before=1000, estimate=lambda: 2000, is_exact=False)
    for _ in range(60):
        clock.now += 1
        for _ in range(5):
            progress.add(ok=True)
        progress._words()
    assert progress._words() == "1,300 of about 2,000 rows, 5.0/s, ETA 0:02:20"
    for _ in range(60):
        clock.now += 1
        progress.add(ok=False)
        words = progress._words()
    assert words == "1,360 of about 2,000 rows, 1.0/s, 60 failed, ETA 0:10:40"
    assert len(progress._samples) < 100
    assert progress.summary(1000, 3) == (
        "360 rows: 300 ok, 60 failed, 1,000 were there before (3 of them failed), "
        "in 0:02:00 (3.0/s)"
    )


def test_where_nobody_knows_how_many_rows_there_are(clock: Clock) -> None:
    progress = Progress(before=0, estimate=lambda: None, is_exact=False)
    progress.add(ok=True)
    clock.now += 2
    assert progress._words() == "1 row, 0.5/s"


async def test_without_a_terminal_it_is_a_line_now_and_then(
    autojump_clock: trio.testing.MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(before=0, estimate=lambda: 7, is_exact=True)
    with trio.move_on_after(25):
        await progress.show()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("0 of 7 rows, 0.0/s") for line in lines)


async def test_quiet_is_quiet(
    autojump_clock: trio.testing.MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(before=0, estimate=lambda: 7, is_exact=True, quiet=True)
    with trio.move_on_after(25):
        await progress.show()
    assert capfd.readouterr().err == ""
