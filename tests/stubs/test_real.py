"""Typed modules of real apps; the one in `tests/typed` is what type checkers check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gradio import GRADIO_APP, GradioProcess
from tests.support.real import opened
from tests.support.stubs import loaded
from triojob import JobGroup, handle_file

TYPED = Path(__file__).parent.parent / "typed"


@pytest.fixture(scope="module")
def components_url(_gradio_env: dict[str, str]) -> Iterator[str]:
    """Give the URL of a real app of all components."""
    app = GRADIO_APP.with_name("components_app.py")
    server = GradioProcess((), _gradio_env, app=app)
    yield server.url
    server.terminate()


def kept() -> str:
    return (TYPED / "components.py").read_text(encoding="utf-8")


async def now(url: str) -> str:
    async with opened(url) as client:
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:7860", client.stubs())


@pytest.mark.real
async def test_module_of_components_is_checked(components_url):
    assert await now(components_url) == kept()


async def test_methods_of_tests_app_can_be_called(gradio_url, tmp_path):
    with loaded(await now(gradio_url)) as module:
        async with opened(gradio_url) as client, JobGroup() as group:
            app: Any = module.App(client)
            assert await app.greet("Ada") == "Hello Ada!"
            assert await app.add(2, 3) == (5, 6)
            assert await app.no_output("x") == ()
            job = group.submit(app.tokens, 3, delay=0)
            assert [text async for text in job] == ["tok0", "tok0 tok1", "tok0 tok1 tok2"]
            path = await app.upper_file(handle_file(b"words", name="words.txt"))
            assert Path(path).read_text() == "WORDS"
            async with client.session() as session:
                counting = module.App(session)
                assert [await counting.bump(), await counting.bump()] == [1, 2]


@pytest.mark.real
async def test_methods_of_all_components_can_be_called(components_url):
    with loaded(kept()) as module:
        async with opened(components_url) as client:
            app: Any = module.App(client)
            assert await app.translate("a", "日本語", formal=True) == "日本語:a!"
            assert await app.choose() == ("['x'] a 300", 1)
            assert await app.late(second="!") == "first!"
            assert await app.class_("a") == "a"
            assert [await app.bump(), await app.bump()] == [1, 2]
            empty, talk = await app.chat("hi", [])
            assert (empty, [said["role"] for said in talk]) == ("", ["user", "assistant"])
            _, talk = await app.chat("more", talk)
            assert [said["content"][0]["text"] for said in talk] == ["hi", "HI", "more", "MORE"]
            # What is there without being required, as the typed dictionaries say.
            assert all({"metadata", "options"} <= said.keys() for said in talk)
