"""The replay server says what real servers said, and both ways of using it work."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest
import trio

from benchmarks._record import API, RECORDED, call, record
from benchmarks._servers import running
from tests.servers.recorded import load, normalised
from tests.support.hanging import SECONDS
from triojob import Client, JobCancelled, handle_file


@pytest.fixture(scope="module")
def url():
    with running("replay") as server:
        yield server.url


def without_values(messages: list[Any]) -> list[Any]:
    """Leave out what the function returned, which differs from app to app."""
    messages = copy.deepcopy(messages)
    for message in messages:
        if "data" in message.get("output", ()):
            message["output"]["data"] = [type(item).__name__ for item in message["output"]["data"]]
    return messages


def test_calls_are_those_of_the_real_app(url):
    recorded = json.loads((RECORDED / "calls.json").read_text(encoding="utf-8"))
    replayed = record(url)
    # A clock decides how many numbers there were before the stop.
    for calls in (recorded, replayed):
        del calls["endless"][5:-2]
    for name, messages in recorded.items():
        assert normalised(replayed[name]) == normalised(messages), name


@pytest.mark.parametrize("name, value, of", [("echo", "hi", "greet"), ("text", 4, "tokens")])
def test_messages_have_the_shape_of_another_apps(url, name, value, of):
    with httpx.Client(base_url=url) as client:
        messages = call(client, name, value)
    expected = load(of).messages
    assert normalised(without_values(messages)) == normalised(without_values(expected))


def test_unknown_session_is_reported(url):
    answer = httpx.get(f"{url}{API}/queue/data?session_hash=nobody")
    messages = [json.loads(line[6:]) for line in answer.text.splitlines() if line]
    assert [message["msg"] for message in messages] == ["unexpected_error", "close_stream"]
    assert messages[0]["session_not_found"] is True


@pytest.mark.parametrize("in_session", [False, True], ids=["isolated sessions", "session"])
async def test_triojob_works_with_it(url, in_session):
    with trio.fail_after(SECONDS):
        async with Client(url) as client, client.session() as session:
            used = session if in_session else client
            jobs = [used.submit(f"call {i}", api_name="/echo") for i in range(50)]
            assert [await job.result() for job in jobs] == [f"call {i}" for i in range(50)]

            story = used.submit(120, api_name="/chat")
            outputs = [output async for output in story]
            assert len(outputs) == 120
            assert [message["role"] for message in outputs[-1]] == ["user", "assistant", "user"]
            assert outputs[-1][-1]["content"][0]["text"].endswith(" word119 ")
            assert outputs[-1] == await story.result()


async def test_a_cancelled_call_is_stopped(url):
    with trio.fail_after(SECONDS):
        async with Client(url) as client:
            job = client.submit("a key of this test", api_name="/endless")
            assert await anext(aiter(job)) == "0"
            job.cancel()
            with pytest.raises(JobCancelled):
                await job.result()
            # It has no way to tell.
            while await client.predict("a key of this test", api_name="/stopped") is None:  # noqa: ASYNC110
                await trio.sleep(0.01)


async def test_files_go_both_ways(url, tmp_path):
    with trio.fail_after(SECONDS):
        async with Client(url, download_files=tmp_path) as client:
            file = handle_file(b"x" * 100_003, name="some.bin")
            assert await client.predict(file, api_name="/size_of") == 100_003
            made = trio.Path(await client.predict(1, api_name="/make_file"))
            assert (await made.stat()).st_size == 2**20


def test_an_upload_in_chunks_is_counted(url):
    body = (
        b'--border\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
        + b"y" * 70_000
        + b"\r\n--border--\r\n"
    )

    def pieces():
        for start in range(0, len(body), 999):
            yield body[start : start + 999]

    headers = {"content-type": "multipart/form-data; boundary=border"}
    answer = httpx.post(f"{url}{API}/upload", content=pieces(), headers=headers)
    assert answer.json() == ["/replay/70000/a.bin"]
