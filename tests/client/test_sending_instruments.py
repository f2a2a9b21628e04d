"""`Instrument.job_sending`: what it may put into the headers of a call, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.servers.scripted import ScriptedServer
from tests.support.opening import add_functions, new_client
from triojob import Instrument, Job, Limits


class Sends(Instrument):
    """Puts a header into each call."""

    def __init__(self, value: str) -> None:
        self.value = value

    def job_sending(self, job: Job[Any], headers: dict[str, str]) -> None:
        headers["x-job"] = f"{self.value}{job.name}"


async def test_its_headers_go_with_the_call(memory_app: ScriptedServer) -> None:
    add_functions(memory_app)
    async with new_client(memory_app, instruments=[Sends("of ")]) as client:
        assert await client.submit("a", api_name="/echo").result() == "a"
    (join,) = (said for said in memory_app.requests if said.path.endswith("/queue/join"))
    assert join.headers["x-job"] == "of /echo"


@pytest.mark.parametrize("session", [False, True])
async def test_impossible_header_fails_its_call_only(memory_app, autojump_clock, session):
    add_functions(memory_app)
    bad = Sends("\n")
    async with new_client(memory_app, instruments=[bad], limits=Limits(streams=1)) as client:
        surface: Any = client
        async with client.session() as own:
            if session:
                surface = own
            for _ in range(3):
                with pytest.raises(ValueError, match="'x-job' contains a line end"):
                    await surface.submit("a", api_name="/echo").result()
            bad.value = ""
            with trio.fail_after(10):
                assert await surface.submit("b", api_name="/echo").result() == "b"
    assert memory_app.paths().count("POST /queue/join") == 1
