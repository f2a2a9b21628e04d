"""The doctor and servers on sockets: TLS, Gradio 3, and a real app that is healthy."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from tests.drivers.test_socket_proxies import old_app
from tests.servers.scripted import open_server
from triojob import Diagnosis, diagnose
from triojob._doctor import limits, streams

SECONDS = 60


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no second heartbeat: without one, nothing is said about a stream."""
    monkeypatch.setattr(streams, "PATIENCE", 0.5)
    monkeypatch.setattr(limits, "IDLE", 0.1)
    monkeypatch.setattr(limits, "UNDECIDED", 0.1)


async def examine(url: str, **options: Any) -> Diagnosis:
    with trio.fail_after(SECONDS):
        return await diagnose(url, **options)


def serving(authority: trustme.CA, name: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


@asynccontextmanager
async def app_at(tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    async with open_server(tls=tls) as server:
        server.app.config_overrides["show_error"] = True
        server.app.add("greet")
        yield server.url


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_trusted_certificate_is_no_finding(authority, trusting):
    async with app_at(serving(authority, "127.0.0.1")) as url:
        assert (await examine(url, verify=trusting)).findings == ()


async def test_expired_certificate(authority, trusting):
    past = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=3)
    tls = serving(authority, "127.0.0.1", not_after=past)
    async with app_at(tls) as url:
        (finding,) = (await examine(url, verify=trusting)).findings
    assert (finding.code, finding.evidence) == ("tls-expired", {"verify_code": 10})
    assert finding.saw == "the certificate is refused: certificate has expired"


async def test_certificate_of_another_host(authority, trusting):
    async with app_at(serving(authority, "example.com")) as url:
        (finding,) = (await examine(url, verify=trusting)).findings
    assert finding.code == "tls-wrong-host"
    assert "127.0.0.1" in finding.saw


async def test_certificate_of_an_unknown_authority(authority):
    async with app_at(serving(authority, "127.0.0.1")) as url:
        (finding,) = (await examine(url)).findings
        assert finding.code == "tls-untrusted"
        assert (await examine(url, verify=False)).findings == ()


async def test_self_signed_certificate(authority, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    async with app_at(context) as url:
        (finding,) = (await examine(url)).findings
    assert finding.code == "tls-self-signed"


async def test_wrong_scheme_is_named(authority):
    async with app_at(None) as url:
        (finding,) = (await examine(url.replace("http:", "https:"))).findings
        assert finding.code == "tls-failed"
        assert any("http://" in remedy.change for remedy in finding.remedies)
    async with app_at(serving(authority, "127.0.0.1")) as url:
        (finding,) = (await examine(url.replace("https:", "http:"))).findings
        assert finding.code == "connection-broken"
        assert any("https://" in remedy.change for remedy in finding.remedies)


async def test_gradio_3_is_called_old():
    async with old_app() as (url, callers):
        diagnosis = await examine(url)
    codes = {finding.code: finding for finding in diagnosis.findings}
    assert "3.50.2" in codes["old-release"].saw
    assert "websocket-blocked" not in codes
    assert [check.outcome for check in diagnosis.checks if check.name == "WebSocket"] == ["done"]
    assert any("/queue/join" in caller for caller in callers)


def test_the_example_prints_problems(gradio_url, capsys):
    example = Path(__file__).resolve().parents[2] / "docs" / "examples" / "doctor.py"
    source = example.read_text(encoding="utf-8")
    for name, printed in (("/greet", ""), ("/fail", "error call-failed: /fail: ")):
        code = source.replace("http://127.0.0.1:7860", gradio_url).replace("/greet", name)
        exec(compile(code.replace('"Ada", ' * (name == "/fail"), ""), str(example), "exec"), {})
        assert capsys.readouterr().out.startswith(printed)


async def test_real_app_is_healthy(gradio_url):
    diagnosis = await examine(gradio_url)
    assert diagnosis.problems == ()
    # The app has State, and other tests may call it at this moment.
    assert {finding.code for finding in diagnosis.findings} <= {"state", "queue-waiting"}
    assert "failed" not in {check.outcome for check in diagnosis.checks}
