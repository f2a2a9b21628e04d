"""`nox -s qualify` resumes: a step that passed is not run again for the same code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qa import qualify
from qa.qualify import STEPS, State


class Steps:
    """Runs steps that fail, or are interrupted, as told."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failing: set[str] = set()
        self.interrupted = ""

    def run(self, step: str) -> int:
        self.ran.append(step)
        if step == self.interrupted:
            raise KeyboardInterrupt
        return int(step in self.failing)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Steps:
    """Put the program into a repository of its own, in which it runs these steps."""
    made = Steps()
    (tmp_path / "triojob").mkdir()
    monkeypatch.setattr(qualify, "ROOT", tmp_path)
    monkeypatch.setattr(qualify, "STATE", tmp_path / ".nox" / "qualify.json")
    monkeypatch.setattr(qualify, "run_session", made.run)
    qualify.git("init", "--quiet")
    commit("1")
    return made


def commit(code: str) -> None:
    (qualify.ROOT / "triojob" / "code.py").write_text(code)
    qualify.git("add", "triojob")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    qualify.git(*who, "commit", "--quiet", "--message", "code")


def test_failed_steps_run_again(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.failing = {"model", "soak"}
    assert qualify.main([]) == 1
    assert steps.ran == [*STEPS]
    assert "failed: model, soak;" in capsys.readouterr().out
    steps.ran, steps.failing = [], set()
    assert qualify.main([]) == 0
    assert steps.ran == ["model", "soak"]


def test_interrupted_run_resumes_at_its_step(steps: Steps) -> None:
    steps.interrupted = "fuzz"
    with pytest.raises(KeyboardInterrupt):
        qualify.main([])
    steps.ran, steps.interrupted = [], ""
    assert qualify.main([]) == 0
    assert steps.ran == [*STEPS][[*STEPS].index("fuzz") :]


def test_changed_code_runs_all_steps(steps: Steps) -> None:
    qualify.main([])
    (qualify.ROOT / "page.md").write_text("a page that a step wrote")
    commit("2")
    qualify.main([])
    assert steps.ran == [*STEPS, *STEPS]


def test_unknown_steps_are_refused(steps: Steps) -> None:
    with pytest.raises(SystemExit):
        qualify.main(["model", "lint"])
    assert steps.ran == []


def test_uncommitted_code_is_refused(steps: Steps) -> None:
    (qualify.ROOT / "triojob" / "code.py").write_text("2")
    with pytest.raises(SystemExit):
        qualify.main([])
    assert steps.ran == []


def test_list_runs_nothing(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    qualify.main(["model"])
    assert steps.ran == ["model"]
    qualify.main(["--list"])
    assert steps.ran == ["model"]
    lines = capsys.readouterr().out.splitlines()[-len(STEPS) :]
    assert ["to run" in line for line in lines] == [step != "model" for step in STEPS]


def test_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qualify, "ROOT", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        qualify.main([])


def test_broken_state_file_is_never_kept(tmp_path: Path) -> None:
    state = State(tmp_path / "new" / "state.json", "code")
    state.add("model", 5)
    assert State(tmp_path / "new" / "state.json", "code").passed == {"model": 5}
    assert State(tmp_path / "new" / "state.json", "other").passed == {}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.json"]
