"""The life of the live view: when it draws, when it ends, and that it harms nobody."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from typing import Any

import pytest
import trio
from rich.console import Console
from trio.testing import MockClock, wait_all_tasks_blocked

import triojob
from tests.live.support import CURSOR_OFF, CURSOR_ON, draws, fails, output, recorder
from tests.servers.scripted import Event
from tests.support.hanging import SECONDS
from tests.support.jobs import BaseExceptionGroup, leaves, tasks_living
from triojob import Client, JobGroup, MissingDependency, report
from triojob._live import _screens


class Draws:
    """Counts the drawings of a view."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        draw = _screens.Terminal.draw

        def counted(screen: Any, watch: Any, now: float) -> None:
            self.times.append(now)
            draw(screen, watch, now)

        monkeypatch.setattr(_screens.Terminal, "draw", counted)


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> Draws:
    return Draws(monkeypatch)


# --- When it draws ---


async def test_a_thousand_jobs_cost_few_drawings(autojump_clock: MockClock, drawings: Draws):
    async def tells() -> None:
        for number in range(8):
            report.progress((number, 8))
            await trio.sleep(0.05)

    console = recorder()
    async with JobGroup(limit=100) as group, triojob.live(group, total=1000, console=console):
        for _ in range(1000):
            group.submit(tells)
    # 10,000 messages in 4 seconds, and 10 drawings a second at most.
    assert trio.current_time() == pytest.approx(4)
    assert len(drawings.times) <= 41
    gaps = [later - time for time, later in itertools.pairwise(drawings.times)]
    assert min(gaps) >= 0.0999
    assert "1000 done" in output(console)


async def test_unchanged_view_is_drawn_every_second(autojump_clock, drawings):
    async with JobGroup() as group, triojob.live(group, console=recorder()):
        group.submit(trio.sleep, 60)
    assert len(drawings.times) <= 62


async def test_without_jobs_it_sleeps(autojump_clock: MockClock, drawings: Draws):
    async with JobGroup() as group, triojob.live(group, console=recorder()):
        await trio.sleep(1000)
        before = len(drawings.times)
        await trio.sleep(1000)
        assert len(drawings.times) == before <= 1


async def test_it_takes_no_time_from_the_jobs(autojump_clock: MockClock):
    async with JobGroup() as group, triojob.live(group, console=recorder()):
        group.submit(trio.sleep, 5)
    assert trio.current_time() == 5


async def test_blocked_terminal_is_not_waited_for(autojump_clock, monkeypatch):
    console = recorder()
    async with JobGroup() as group, triojob.live(group, console=console):
        group.submit(draws)
        await trio.sleep(1)
        before = output(console)
        monkeypatch.setattr(_screens, "takes_output", lambda console: False)
        await trio.sleep(3)
        assert output(console) == before
        monkeypatch.setattr(_screens, "takes_output", lambda console: True)
        await trio.sleep(3)
        assert output(console) != before


# --- Where it is entered ---


async def test_leaving_view_shows_the_end(autojump_clock: MockClock):
    console = recorder()
    async with JobGroup() as group:
        async with triojob.live(group, console=console):
            group.submit(draws)
        assert trio.current_time() == 10
        assert group.statistics().succeeded == 1
    lines = output(console).replace(CURSOR_ON, "").rstrip().splitlines()
    assert lines[-2].endswith("1 done")
    assert output(console).count(CURSOR_OFF) == output(console).count(CURSOR_ON) == 1
    assert output(console).endswith(CURSOR_ON)


async def test_it_may_be_around_the_group(autojump_clock: MockClock):
    console, group = recorder(), JobGroup()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with triojob.live(group, console=console), group:
            group.submit(draws)
            group.submit(fails)
    assert [str(error) for error in leaves(caught.value)][-1] == "no"
    assert caught.value.message == "unhandled errors in a JobGroup"
    assert "1 done, 1 failed" in output(console)


async def test_it_shows_several_groups_together(autojump_clock: MockClock):
    console = recorder()
    async with (
        JobGroup() as one,
        JobGroup() as other,
        triojob.live(one, other, one, console=console),
    ):
        one.submit(draws)
        other.submit(draws)
    assert "2 done" in output(console)


async def test_of_client_it_shows_sessions_too(memory_app, autojump_clock):
    @memory_app.app.endpoint(inputs=["text"])
    async def echo(event: Event) -> None:
        await event.completed(event.data)

    console = recorder()
    async with Client(memory_app.url, transport=memory_app.transport()) as client:
        async with client.session() as before:
            async with triojob.live(client, before, client, console=console):
                client.submit("a", api_name="/echo")
                before.submit("b", api_name="/echo")
                async with client.session() as after:
                    after.submit("c", api_name="/echo")
            assert "3 done" in output(console)
            await client.submit("d", api_name="/echo").result()
            console = recorder()
            async with triojob.live(before, console=console):
                before.submit("e", api_name="/echo")
            assert "2 done" in output(console)
        assert client._session_watchers == client._session_groups == []


# --- What goes wrong ---


async def test_what_the_body_raises_passes_through_bare(autojump_clock: MockClock):
    console = recorder()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group:
            job = group.submit(draws)
            with pytest.raises(KeyError):
                async with triojob.live(group, console=console):
                    await trio.sleep(1)
                    raise KeyError("mine")
            # Nothing was waited for, and nothing cancelled.
            assert not job.done
            async with triojob.live(group, console=console):
                raise KeyError("mine")
    assert [type(error) for error in leaves(caught.value)][-1] is KeyError
    assert output(console).endswith(CURSOR_ON)


async def test_a_cancellation_passes_through(autojump_clock: MockClock):
    console = recorder()
    with trio.move_on_after(2) as scope:
        async with JobGroup() as group, triojob.live(group, console=console):
            group.submit(draws)
    assert scope.cancelled_caught
    assert output(console).endswith(CURSOR_ON)


async def test_a_group_that_fails_fast_ends_it(autojump_clock: MockClock):
    console = recorder()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup(fail_fast=True) as group, triojob.live(group, console=console):
            group.submit(fails)
            group.submit(draws)
    assert [str(error) for error in caught.value.exceptions] == ["no"]
    assert trio.current_time() == 0.5


async def test_shown_failures_are_raised_all_the_same(autojump_clock: MockClock):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with JobGroup() as group, triojob.live(group, console=recorder()):
            for number in range(3):
                group.submit(fails, str(number))
    assert sorted(str(error) for error in caught.value.exceptions) == ["0", "1", "2"]


async def test_broken_view_harms_no_job(autojump_clock, caplog):
    class Full(io.StringIO):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError("no space left")
            return super().write(text)

    file = Full()
    console = Console(file=file, force_terminal=True, _environ={"TERM": "xterm"})
    async with JobGroup() as group, triojob.live(group, console=console):
        job = group.submit(draws)
        await trio.sleep(1)
        file.full = True
    assert await job.result() == "drawn"
    assert "its jobs keep running" in caplog.records[0].message
    # And the place is free again.
    async with triojob.live(group, console=recorder()):
        pass


async def test_second_view_of_terminal_is_refused(autojump_clock: MockClock):
    first, second = recorder(), recorder()
    async with JobGroup() as group, triojob.live(group, console=first):
        with pytest.raises(RuntimeError, match="pass all groups to it"):
            async with triojob.live(group, console=second):
                pass
        assert output(second) == ""
        # Plain lines get in nobody's way.
        lines = recorder(terminal=False)
        async with triojob.live(group, console=lines):
            group.submit(trio.lowlevel.checkpoint)
        assert "1 done" in output(lines)


async def test_view_leaves_no_task_or_hook(autojump_clock: MockClock):
    async with JobGroup() as group:
        before = tasks_living()
        async with triojob.live(group, console=recorder()):
            await wait_all_tasks_blocked()
            assert tasks_living() == before + 1
        assert tasks_living() == before
        assert group._dispatcher is not None
        assert group._dispatcher._instruments == []


# --- What it is given ---


@pytest.mark.parametrize("targets", [(), (None,), (JobGroup,), (JobGroup(), [])])
def test_something_without_jobs_is_refused(targets):
    with pytest.raises(TypeError, match="live takes groups, clients or sessions"):
        triojob.live(*targets)


@pytest.mark.parametrize("total", [-1, float("nan"), float("inf")])
def test_total_that_makes_no_sense_is_refused(total):
    with pytest.raises(ValueError, match="total must be at least 0"):
        triojob.live(JobGroup(), total=total)


def test_without_rich_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for name in list(sys.modules):
        if name.startswith("triojob._live._") and name != "triojob._live._view":
            monkeypatch.delitem(sys.modules, name)
        elif name.partition(".")[0] == "rich":
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependency, match=r"pip install 'triojob\[cli\]'"):
        triojob.live(JobGroup())


def test_rich_is_imported_with_the_view():
    code = (
        "import sys, triojob; assert 'rich' not in sys.modules;"
        "triojob.live(triojob.JobGroup()); assert 'rich' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=SECONDS)
