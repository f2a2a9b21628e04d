"""A real app whose server refuses whoever comes when it has enough to do."""

from __future__ import annotations

import pytest
import trio

from tests.support.gradio import ServeGradio
from tests.support.real import SECONDS, call_many
from triojob import Client


@pytest.mark.parametrize("how", ["jobs", "map"])
async def test_what_uvicorn_refuses_is_sent_again(serve_gradio: ServeGradio, how: str) -> None:
    url = serve_gradio("--limit-concurrency", "12")
    with trio.fail_after(SECONDS):
        async with Client(url) as client:
            assert await call_many(client, how) == [f"call {n}" for n in range(200)]
