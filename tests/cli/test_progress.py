"""What is said of a long run while it runs."""

from __future__ import annotations

import trio

from triojob._cli.progress import Progress
from triojob._durable.outage import Reachability


def reachability() -> Reachability:
    return Reachability(trio.lowlevel.checkpoint, max_outage=0, say=print, describe=str)


async def test_count_speed_and_duration_are_shown(autojump_clock: trio.testing.MockClock) -> None:
    progress = Progress(reachability(), before=1000, estimate=lambda: 2000, is_exact=False)
    assert progress._words() == "1,000 of about 2,000 rows"
    for _ in range(60):
        await trio.sleep(1)
        for _ in range(5):
            progress.add("ok", 0, None)
    assert progress._words() == "1,300 of about 2,000 rows, 5.1/s, ETA 2 min 17 s"
    for number in range(120):
        await trio.sleep(1)
        progress.add("timeout", number, {"class": "TooSlowError", "message": "a\nb"})
    # The rate is that of late.
    assert progress._words() == "1,420 of about 2,000 rows, 1.0/s, 120 failed, ETA 9 min 40 s"
    assert progress.summary(1000, 3) == (
        "420 rows: 300 ok, 120 failed, 1,000 were finished earlier (3 of them failed), "
        "in 3 min 00 s (2.3/s)\n"
        "  120 timeout, the first in row 0: TooSlowError: a b"
    )


async def test_unknown_number_of_rows_is_shown(autojump_clock):
    progress = Progress(reachability(), before=0, estimate=lambda: None, is_exact=False)
    await trio.sleep(2)
    progress.add("ok", 0, None)
    assert progress._words() == "1 row, 0.5/s"


async def test_no_terminal_gets_a_line_sometimes(autojump_clock, capfd):
    progress = Progress(reachability(), before=0, estimate=lambda: 7, is_exact=True)
    with trio.move_on_after(25):
        await progress.show()
    assert capfd.readouterr().err.splitlines() == ["0 of 7 rows"] * 2


async def test_quiet_is_quiet(autojump_clock, capfd):
    progress = Progress(reachability(), before=0, estimate=lambda: 7, is_exact=True, quiet=True)
    with trio.move_on_after(25):
        await progress.show()
    assert capfd.readouterr().err == ""
