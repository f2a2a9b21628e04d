"""Real Gradio apps in processes of their own, and the fixtures that start them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trio

from tests.support.hanging import SECONDS
from triojob import Client
from triojob.testing import run_gradio

MODULE = """
import gradio as gr

demo = gr.Interface(lambda name: f"Hello {name}!", "text", "text", api_name="greet")
"""


def ask(url: str) -> str:
    async def main() -> str:
        async with Client(url) as client:
            return await client.predict("Ada", api_name="/greet")

    return trio.run(main)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a folder with a package whose app is a module's `demo`."""
    folder = tmp_path / "twin_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "app.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.real
def test_app_of_module_serves_until_end(package: Path):
    with run_gradio("twin_package.app:demo") as app:
        assert ask(app.url) == "Hello Ada!"
        assert app.process.poll() is None
    assert app.process.poll() is not None
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(app.url)


def fake_gradio(tmp_path: Path) -> dict[str, str]:
    """Make a Gradio that imports at once, for scripts that never come to it."""
    (tmp_path / "gradio.py").write_text("class Blocks:\n    def launch(self): ...\n")
    return {"PYTHONPATH": str(tmp_path)}


def test_a_script_without_an_app_says_so(tmp_path: Path):
    script = tmp_path / "no_app.py"
    script.write_text("print('hello from the script')\ndemo = 'none'\n")
    with (
        pytest.raises(RuntimeError) as caught,
        run_gradio(script, env=fake_gradio(tmp_path)),
    ):
        pass
    assert str(caught.value) == (
        "the Gradio app exited before it started to serve; it printed:\nhello from the script\n"
        f"{script} has no Gradio app: it neither calls launch() nor has an app named demo\n"
    )


def test_what_a_failing_script_printed_is_shown(tmp_path: Path):
    script = tmp_path / "broken.py"
    script.write_text("print('so far so good')\nraise SystemExit('out of luck')\n")
    with (
        pytest.raises(RuntimeError, match=r"exited before .*\nso far so good\nout of luck"),
        run_gradio(script, env=fake_gradio(tmp_path)),
    ):
        pass


def test_app_that_takes_too_long_is_ended(tmp_path: Path):
    script = tmp_path / "slow.py"
    pid = tmp_path / "pid"
    script.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(1000)\n"
    )
    with (
        pytest.raises(RuntimeError, match="did not start within 1 s"),
        run_gradio(script, env=fake_gradio(tmp_path), seconds=1),
    ):
        pass
    if pid.exists() and hasattr(os, "kill"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


@pytest.fixture
def forever(tmp_path: Path) -> Path:
    """Make a script that says its process id in the place of a URL, and goes on."""
    script = tmp_path / "forever.py"
    script.write_text(
        "import os, sys, time\nprint('READY', os.getpid(), flush=True)\ntime.sleep(1000)\n"
    )
    return script


def test_equal_starters_share_an_app(gradio_app, fresh_gradio_app, forever):
    env = fake_gradio(forever.parent)
    shared, fresh = gradio_app(forever, env=env), fresh_gradio_app(str(forever), env=env)
    assert gradio_app(str(forever), env=env) is shared
    others = [gradio_app(forever, env={**env, "OTHER": "1"}), fresh_gradio_app(forever, env=env)]
    assert len({app.url for app in (shared, fresh, *others)}) == 4
    shared.kill()
    assert gradio_app(forever, env=env).url != shared.url


def test_python_without_gradio_says_what_to_install(forever: Path):
    (forever.parent / "gradio.py").write_text("raise ModuleNotFoundError(name='gradio')")
    with (
        pytest.raises(
            RuntimeError,
            match=r"Gradio is not installed; install it with: pip install 'triojob\[testing\]'",
        ),
        run_gradio(forever, env={"PYTHONPATH": str(forever.parent)}),
    ):
        pass


def test_app_ends_with_process_that_started_it(tmp_path: Path, forever: Path):
    starter = (
        "import os, sys\n"
        "from triojob.testing import run_gradio\n"
        "with run_gradio(sys.argv[1]) as app:\n"
        "    print(app.ready[0], flush=True)\n"
        "    os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, str(forever)],
        env={**os.environ, **fake_gradio(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("it lives on")
