"""The log of a busy session: it says which job each line is about, and nothing that is a secret."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.servers.direct import go_direct
from tests.servers.faults import Answer, Hold
from tests.servers.scripted import Event, ScriptedServer
from tests.support.hanging import SECONDS
from tests.support.opening import LOGIN, PASSWORD, add_functions, cookies_of, wait_until_running
from tests.support.sessions import all_tasks
from triojob import AppError, Client, JobGroup

TOKEN, COOKIE = "t0ken-of-mine", "c00kie-of-mine"
PAYLOAD, WORDS, YIELDED = "payload-of-mine", "words-of-the-app", "yielded-by-the-app"
SHARED = ("/config", "/info", "/login", "/queue/data", "/heartbeat/")
"""Requests that are made for no call alone."""


def said(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    names = ("triojob", "triojob.http", "httpx")
    return [record for record in caplog.records if record.name in names]


async def be_busy(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    """Make calls of each kind, with each kind of end, and have some of the cancel requests fail."""
    caplog.set_level(logging.DEBUG)
    server.app.auth = LOGIN
    add_functions(server)

    @server.app.endpoint(inputs=["a"], generator=True)
    async def talk(event: Event) -> None:
        await event.progress([0.5])
        await event.log(WORDS)
        await event.generating([YIELDED])
        await event.generating([YIELDED + event.data[0]])

    server.fault("POST", "/cancel", Answer(500, b"no"), times=1)
    headers, cookies = {"authorization": f"Bearer {TOKEN}"}, {"mine": COOKIE}
    client = Client(server.url, auth=LOGIN, headers=headers, cookies=cookies)
    with trio.fail_after(SECONDS):
        async with client, client.session() as session, JobGroup() as group:
            for _ in range(5):
                group.submit(client.endpoint("/talk"), PAYLOAD)
                session.submit(PAYLOAD, api_name="/talk")
            await client.predict(PAYLOAD, api_name="/echo")
            await session.predict(PAYLOAD, api_name="/echo")
            with pytest.raises(AppError):
                await client.predict(PAYLOAD, api_name="/fail")
            failing = group.submit(client.endpoint("/fail"), PAYLOAD)
            await failing.wait()
            assert failing.exception() is not None
            hanging = [group.submit(client.endpoint("/hang"), PAYLOAD) for _ in range(3)]
            hanging.append(session.submit(PAYLOAD, api_name="/hang"))
            await wait_until_running(server, 4)
            for job in hanging:
                job.cancel("enough")


async def test_a_busy_session_logs_no_secret(scripted, caplog):
    await be_busy(scripted, caplog)
    hashes = {join["session_hash"] for join in scripted.joins}
    given = {value for request in scripted.requests for value in cookies_of(request).values()}
    assert len(hashes) > 5
    assert len(given) > 1
    secrets = {PASSWORD, TOKEN, COOKIE, PAYLOAD, WORDS, YIELDED} | hashes | given
    secrets |= set(scripted.events)
    records = said(caplog)
    texts = [f"{record.getMessage()} {vars(record)}" for record in records]
    assert len(texts) > 60
    assert {record.levelno for record in records} == {logging.DEBUG, logging.WARNING}
    for secret in secrets:
        assert not [text for text in texts if secret in text]


async def test_busy_session_logs_jobs_of_lines(scripted, caplog):
    await be_busy(scripted, caplog)
    by_job: dict[int, list[str]] = {}
    for record in said(caplog):
        text = record.getMessage()
        number = getattr(record, "job", None)
        if number is None:
            # What is there for all of them.
            assert record.name == "triojob.http"
            assert any(path in text for path in SHARED)
        else:
            start = f"#{number} {vars(record)['endpoint']}: "
            assert text.startswith(start)
            by_job.setdefault(number, []).append(text.removeprefix(start))
    assert len(by_job) == 5 + 5 + 2 + 2 + 4
    for texts in by_job.values():
        steps = [text for text in texts if not text.startswith(("POST", "GET", "a cancel request"))]
        assert len(steps) == 4, steps
        for text, step in zip(steps, ("submitted", "started", "sent", ""), strict=True):
            assert text.startswith(step)
        assert any(text.startswith("POST") for text in texts)
        assert not any("/queue/data" in text for text in texts)
        [named] = {text for text in texts if text.startswith("sent")}
        assert named in {f"sent as event {event_id[:8]}..." for event_id in scripted.events}
    ends = [text for texts in by_job.values() for text in texts if " after " in text]
    assert sum(text.startswith("succeeded") for text in ends) == 12
    assert sum(text.endswith("AppError") for text in ends) == 2
    assert sum(text.startswith("cancelled") and text.endswith("enough") for text in ends) == 4
    warnings = [record for record in said(caplog) if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert vars(warnings[0])["endpoint"] == "/hang"
    assert "responded with status 500" in warnings[0].getMessage()


async def test_request_on_own_connection_belongs_to_job(
    autojump_clock, memory_app, caplog, monkeypatch
):
    go_direct(monkeypatch)
    caplog.set_level(logging.DEBUG)
    add_functions(memory_app)
    memory_app.fault("POST", "/run/echo", Answer(200, {"data": ["x"]}))
    transport = memory_app.transport()
    async with Client(memory_app.url, transport=transport) as client, JobGroup() as group:
        echo = client.endpoint("/echo", via="run")
        jobs = [group.submit(echo, "x") for _ in range(2)]
    lines = {record.getMessage(): vars(record) for record in said(caplog)}
    for job in jobs:
        line = lines[f"#{job.id} /echo: POST {memory_app.url}/gradio_api/run/echo: status 200"]
        assert (line["job"], line["endpoint"]) == (job.id, "/echo")


async def test_tasks_say_which_job_they_work_for(autojump_clock, memory_app):
    add_functions(memory_app)
    memory_app.fault("POST", "/queue/join", Hold(trio.Event()), times=1)
    memory_app.fault("POST", "/cancel", Hold(trio.Event()))
    transport = memory_app.transport()
    async with Client(memory_app.url, transport=transport) as client, JobGroup() as group:
        sent = group.submit(client.endpoint("/hang"), "x")
        await wait_all_tasks_blocked()
        stopped, running = (group.submit(client.endpoint("/hang"), "x") for _ in range(2))
        await wait_until_running(memory_app, 2)
        stopped.cancel()
        await wait_all_tasks_blocked()
        names = {task.name for task in all_tasks()}
        assert {
            f"<job #{sent.id} /hang>",
            f"<join #{sent.id} /hang>",
            f"<cancel #{stopped.id} /hang>",
            f"<job #{running.id} /hang>",
        } <= names
        assert not [name for name in names if f"job #{stopped.id}" in name]
        group.cancel_scope.cancel()
