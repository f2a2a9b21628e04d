"""The documentation says what is: its examples run, and its tables and lists are complete."""

from __future__ import annotations

import dataclasses
import doctest
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

import triojob
import triojob.sync
import triojob.testing
from qa.differential.differences import DIFFERENCES
from tests.support.hanging import SECONDS
from tests.support.warm import warm_python
from triojob.testing import run_gradio

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
TESTED_ELSEWHERE = {
    "doctor.py": "tests/doctor/test_deployments.py",
    "service.py": "tests/real/test_service.py",
    "notebook_sync.ipy": "qa/notebook/test_pages.py",
    "notebook_trio.ipy": "qa/notebook/test_pages.py",
    "nginx.conf": "qa/nginx/support.py",
    "nginx_websocket.conf": "qa/nginx/support.py",
}
"""Examples that are no scripts which end, and what runs them."""
GUIDES_APP = DOCS / "examples" / "app.py"
EXAMPLES = sorted(
    path
    for path in (DOCS / "examples").glob("*.py")
    if path.name not in TESTED_ELSEWHERE and path != GUIDES_APP
)
FOLDERS = sorted({path.parent for path in (DOCS / "examples").glob("*/app.py")})
"""The examples of one page each, with the app that they call."""
PROGRAMS = [
    path for folder in FOLDERS for path in sorted(folder.glob("*.py")) if path.name != "app.py"
]
SUITE = DOCS / "examples" / "testing"
"""The files of docs/testing.md that belong together."""
ADDRESSES = re.compile(r"http://127\.0\.0\.1:7860|owner/name")
"""Where an example says that its app is."""
PACKAGE = Path(triojob.__file__).parent
PAGES = sorted(DOCS.glob("*.md"))

COMMANDS = [
    'python -m pip install ".[demo]" && python -m triojob demo',
    "python -m pip install nox && python -m nox",
]


def calls_an_app(example: Path) -> bool:
    return ADDRESSES.search(example.read_text(encoding="utf-8")) is not None


def expected_output(example: Path) -> str:
    """Return the comment at the end of the file; `...` in it stands for anything."""
    _, mark, block = example.read_text(encoding="utf-8").partition("\n# prints:\n")
    assert mark, f"{example.name} doesn't say what it prints"
    lines = block.splitlines()
    assert all(line.startswith("# > ") for line in lines)
    return "".join(line.removeprefix("# > ") + "\n" for line in lines)


def check(example: Path, folder: Path, url: str = "") -> None:
    """Run a copy of the example in that folder, with the URL of its app."""
    copy = folder / example.name
    text = example.read_text(encoding="utf-8")
    copy.write_text(ADDRESSES.sub(url, text), encoding="utf-8")
    code, output, errors = warm_python("-W", "error").run(str(copy), cwd=folder)
    assert (code, errors) == (0, "")
    want = expected_output(example)
    checker = doctest.OutputChecker()
    if not checker.check_output(want, output, doctest.ELLIPSIS):
        assert output == want  # so that pytest shows the difference


@pytest.fixture(scope="module")
def guides_url() -> Iterator[str]:
    with run_gradio(GUIDES_APP) as app:
        yield app.url


@pytest.mark.real
@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if calls_an_app(path)], ids=lambda path: path.stem
)
def test_example_that_calls_an_app(example, guides_url, tmp_path):
    check(example, tmp_path, guides_url)


@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if not calls_an_app(path)], ids=lambda path: path.stem
)
def test_example_that_needs_no_app(example, tmp_path):
    check(example, tmp_path)


@pytest.fixture(scope="module")
def app_url() -> Iterator[Callable[[Path], str]]:
    """Give the function that starts the app of a folder, once, and returns its URL."""
    with ExitStack() as stack:
        yield cache(lambda folder: stack.enter_context(run_gradio(folder / "app.py")).url)


@pytest.mark.real
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_program_runs_in_an_empty_folder(program, app_url, tmp_path):
    check(program, tmp_path, app_url(program.parent))


NOT_SOURCE = shutil.ignore_patterns("__pycache__")


def run_suite(folder: Path, *words: str) -> str:
    """Run the tests of a folder; return how many passed or failed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout.splitlines()[-1].partition(" in ")[0]


@pytest.mark.real
def test_suite_passes_in_an_empty_folder(tmp_path):
    shutil.copytree(SUITE, tmp_path, dirs_exist_ok=True, ignore=NOT_SOURCE)
    assert run_suite(tmp_path) == "6 passed"


@pytest.mark.full
@pytest.mark.real
def test_suite_records_plays_and_runs_live(tmp_path):
    shutil.copytree(SUITE, tmp_path, dirs_exist_ok=True, ignore=NOT_SOURCE)
    shutil.rmtree(tmp_path / "recordings")
    module = tmp_path / "test_recorded.py"
    assert run_suite(tmp_path, module.name) == "1 failed"
    with run_gradio(tmp_path / "greeter.py") as app:
        module.write_text(ADDRESSES.sub(app.url, module.read_text("utf-8")), "utf-8")
        assert run_suite(tmp_path, module.name, "--recordings=live") == "1 passed"
        assert not (tmp_path / "recordings").exists()
        assert run_suite(tmp_path, module.name, "--recordings=record") == "1 passed"
    assert run_suite(tmp_path, module.name) == "1 passed"
    assert run_suite(tmp_path, module.name, "-o", "recordings=live") == "1 failed"


def test_readme_shows_the_first_programs():
    shown = re.findall(
        r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    names = ("app.py", "call.py", "call_sync.py")
    assert shown == [(DOCS / "examples" / "first" / name).read_text("utf-8") for name in names]


def test_readme_has_six_hundred_words_at_most():
    assert len(README.read_text(encoding="utf-8").split()) <= 600


def test_readme_links_are_absolute():
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    ours = "https://github.com/triojob/triojob/blob/main/"
    assert all(link.startswith("https://") for link in links)
    for link in links:
        if link.startswith(ours):
            assert (ROOT / link.removeprefix(ours)).is_file(), link


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_commands_are_single_lines(command):
    assert f"```console\n{command}\n```\n" in README.read_text(encoding="utf-8")


def test_list_for_language_models_has_every_page():
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+)\]\(https://raw\S+/docs/(\S+)\): .+$", text, re.MULTILINE)
    titles = {page.name: page.read_text("utf-8").partition("\n")[0][2:] for page in PAGES}
    assert {page: title for title, page in listed} == {
        name: title for name, title in titles.items() if name != "index.md"
    }


def test_page_whose_examples_call_app_says_so():
    note = "```{include} examples/app.md\n```"
    calling = {path.name for path in EXAMPLES if calls_an_app(path)}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = set(re.findall(r"^```\{literalinclude\} examples/(\S+)$", text, re.MULTILINE))
        assert (note in text) == bool(shown & calling), page.name


def test_each_example_is_on_a_page():
    shown = {
        name
        for page in PAGES
        for name in re.findall(
            r"^```\{literalinclude\} examples/(\S+)$",
            page.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    # qa/engines/test_examples.py runs those of `engines`.
    folders = [*FOLDERS, SUITE, DOCS / "examples" / "engines"]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    inside = {f"{path.parent.name}/{path.name}" for path in files}
    assert shown == {example.name for example in EXAMPLES} | TESTED_ELSEWHERE.keys() | inside


@pytest.mark.parametrize("name, test", TESTED_ELSEWHERE.items(), ids=TESTED_ELSEWHERE)
def test_each_other_example_has_a_test(name, test):
    assert (DOCS / "examples" / name).is_file()
    assert Path(name).stem in (ROOT / test).read_text(encoding="utf-8")


def test_all_code_on_pages_is_in_files():
    for page in PAGES:
        assert "```python" not in page.read_text(encoding="utf-8"), page.name


def public_names() -> dict[str, object]:
    return {
        name: value
        for name in dir(triojob)
        if (value := getattr(triojob, name)) is not None
        and not name.startswith("_")
        and not isinstance(value, type(triojob))
        and name != "annotations"
    }


def test_reference_has_every_public_name_and_field():
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    for name, value in public_names().items():
        start = re.search(rf"^\.\. (auto|py:)\w+:: (triojob\.)?{name}\b", reference, re.MULTILINE)
        assert start, name
        if dataclasses.is_dataclass(value):
            entry = re.split(r"^(?:\.\. auto|```)", reference[start.end() :], flags=re.MULTILINE)[0]
            documented = re.findall(r"^   \.\. py:attribute:: (\w+)$", entry, re.MULTILINE)
            assert documented == [field.name for field in dataclasses.fields(value)]


def test_reference_has_every_public_name_of_bridge():
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    own = {
        name
        for name, value in vars(triojob.sync).items()
        if getattr(value, "__module__", "").startswith("triojob.sync") and not name.startswith("_")
    }
    documented = re.findall(r"^\.\. auto\w+:: triojob\.sync\.(\w+)", reference, re.MULTILINE)
    assert set(documented) == own


def test_reference_has_every_public_name_for_tests():
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    own = {
        f"{module.__name__.removeprefix('triojob.testing').lstrip('.')}.{name}".lstrip(".")
        for module in (triojob.testing, triojob.testing.components)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    }
    entries = re.findall(
        r"^\.\. auto(?:class|function|exception):: triojob\.testing\.([\w.]+)",
        reference,
        re.MULTILINE,
    )
    members = re.search(r"testing\.components\n   :members: (.+)", reference)
    assert members is not None
    assert own == {*entries, *(f"components.{name}" for name in members[1].split(", "))}


def test_the_table_of_exceptions_is_complete():
    table = dict(
        re.findall(
            r"^\| `(\w+)` \| (.+?) \|", (DOCS / "failures.md").read_text("utf-8"), re.MULTILINE
        )
    )
    errors = {
        name: value
        for name, value in public_names().items()
        if isinstance(value, type) and issubclass(value, triojob.TriojobError)
    }
    assert set(table) == set(errors) - {"TriojobError"}
    for name, cell in table.items():
        bases = [base for base in errors[name].__bases__ if base is not triojob.TriojobError]
        assert [part.rpartition(".")[2] for part in re.findall(r"`([\w.]+)`", cell)] == [
            base.__name__ for base in bases
        ]


def test_each_test_on_a_page_is_there():
    root = Path(__file__).parent.parent
    for page in [ROOT / "SECURITY.md", *PAGES]:
        for file, name in re.findall(
            r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8")
        ):
            text = (root / file).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, f"{page.name}: {file}::{name}"


def test_differences_are_those_of_tests():
    page = (DOCS / "migration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(item.id, item.title, item.reason) for item in DIFFERENCES]


def test_markdown_has_one_sentence_a_line():
    for page in [README, ROOT / "SECURITY.md", *PAGES]:
        text = re.sub(
            r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for line in text.splitlines():
            if not line.startswith(("|", " ")):
                assert not re.search(r"[a-z`)][.!?] [A-Z`]", line), f"{page.name}: {line}"
