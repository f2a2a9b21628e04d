"""What the doctor finds in front of an app: nginx with settings that do harm, and without."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from qa.nginx.support import (
    ADVISED,
    ADVISED_FOR_WEBSOCKETS,
    PLAIN,
    needs_nginx,
    with_rule,
)
from tests.drivers.test_socket_proxies import old_app
from tests.servers.scripted import ScriptedServer
from tests.support.hanging import SECONDS
from triojob import Diagnosis, Finding, diagnose
from triojob._doctor import limits, streams
from triojob.testing import components
from triojob.testing._server.description import App
from triojob.testing._server.http import ServerRequest, ServerResponse, StreamedResponse

pytestmark = needs_nginx


def set_in_server(*settings: str) -> str:
    return ADVISED.replace("server {", f"server {{ {' '.join(settings)}", 1)


def set_in_location(*settings: str) -> str:
    return ADVISED.replace("location / {", f"location / {{ {' '.join(settings)}", 1)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no second heartbeat: without one, nothing is said about a stream."""
    monkeypatch.setattr(streams, "PATIENCE", 2)
    monkeypatch.setattr(limits, "IDLE", 1.2)


async def examine(url: str, **options: Any) -> Diagnosis:
    with trio.fail_after(SECONDS):
        return await diagnose(url, **options)


def codes_of(diagnosis: Diagnosis) -> dict[str, Finding]:
    assert "failed" not in {check.outcome for check in diagnosis.checks}
    return {finding.code: finding for finding in diagnosis.findings}


class Server(ScriptedServer):
    """A server that believes to be where its clients reach it, as Gradio's."""

    async def handle(self, request: ServerRequest) -> ServerResponse | StreamedResponse:
        if request.path == "/config":
            return ServerResponse(200, self.app.config(f"http://{request.headers['host']}"))
        return await super().handle(request)


@asynccontextmanager
async def healthy_app() -> AsyncIterator[Server]:
    async with trio.open_nursery() as nursery:
        server = Server(App(show_error=True), nursery)
        server.app.add("read", inputs=[components.file("path")])
        await server.listen()
        yield server
        server.die()
        nursery.cancel_scope.cancel()


@pytest.fixture
async def app() -> AsyncIterator[Server]:
    async with healthy_app() as server:
        yield server


CASES = {
    "advised": (ADVISED, {}),
    "connections": (
        with_rule("limit_conn"),
        {"connection-limit": ("warning", "number 11 was refused.*503")},
    ),
    "connections by 429": (
        with_rule("429"),
        {"connection-limit": ("warning", r"number 11 was refused.*\(429\)")},
    ),
    "requests": (with_rule("limit_req"), {"rate-limit": ("warning", r"request \d+ of a row.*503")}),
    "keep-alive off": (set_in_server("keepalive_timeout 0;"), {"keep-alive-off": ("note", "each")}),
    "keep-alive of 1 s": (
        set_in_server("keepalive_timeout 1s;"),
        {"keep-alive-short": ("note", r"idle for (0\.9|1\.)")},
    ),
    "small bodies": (
        ADVISED.replace("client_max_body_size 0", "client_max_body_size 1m"),
        {"body-limit": ("warning", "of 2 MB is refused by nginx/.* with status 413")},
    ),
    "large bodies": (
        ADVISED.replace("client_max_body_size 0", "client_max_body_size 50m"),
        {"body-limit": ("note", "of 100 MB is refused .* one of 10 MB is not")},
    ),
    "short reads": (
        set_in_location("proxy_read_timeout 1s;"),
        {"stream-cut": ("error", r"ended after 1\.\d s")},
    ),
    "no host": (
        ADVISED.replace("proxy_set_header Host $http_host;", ""),
        {"wrong-root": ("warning", "the app believes to be at")},
    ),
    "cookie": (
        set_in_location('add_header Set-Cookie "route=a; Path=/elsewhere";'),
        {"cookie-lost": ("warning", "'route'")},
    ),
    "login": (
        set_in_location("auth_basic office; auth_basic_user_file /dev/null;"),
        {"proxy-login": ("error", 'Basic realm="office"')},
    ),
    "forbidden": (set_in_location("deny all;"), {"access-denied": ("error", "403 Forbidden")}),
    "moved": (
        set_in_location("return 302 https://login.test/?next=here;"),
        {"redirect": ("error", "redirects to https://login.test/$")},
    ),
    "no app": (
        ADVISED.replace("http://127.0.0.1:7860", "http://127.0.0.1:7860/nowhere"),
        {"not-gradio": ("error", "status 404")},
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_each_setting_has_its_finding(behind, app, name):
    server, expected = CASES[name]
    found = codes_of(await examine(behind(server, app.url)))
    assert {code: finding.severity for code, finding in found.items()} == {
        code: severity for code, (severity, _) in expected.items()
    }
    for code, (_, saw) in expected.items():
        assert re.search(saw, found[code].saw), found[code].saw


async def test_two_buffering_servers_are_found(behind, app):
    found = codes_of(await examine(behind(PLAIN, behind(PLAIN, app.url))))
    assert set(found) == {"buffering", "wrong-root", "body-limit"}
    assert "proxy_buffering off" in found["buffering"].remedies[0].change


SUB_PATH = ADVISED.replace("location / {", "location /app/ {").replace(":7860;", ":7860/;")


async def test_sub_path_without_root_path(behind, app):
    url = behind(SUB_PATH, app.url)
    (finding,) = codes_of(await examine(f"{url}/app")).values()
    assert finding.code == "wrong-root-path"
    assert f"at {url}, and was reached at {url}/app/" in finding.saw
    (finding,) = codes_of(await examine(f"{url}/app/some/page")).values()
    assert (finding.code, finding.evidence["url"]) == ("wrong-path", f"{url}/app/")


async def test_replicas_need_stickiness(behind, app):
    async with healthy_app() as other:
        other.app.app_id += 1
        urls = [server.url.removeprefix("http://") for server in (app, other)]
        servers = "".join(f"server {url}; " for url in urls)
        for rule, codes in (("", {"replicas"}), ("ip_hash; ", set[str]())):
            upstream = f"upstream replicas {{ {rule}{servers}}} "
            server = upstream + ADVISED.replace("http://127.0.0.1:7860", "http://replicas")
            url = behind(f"{server}# http://127.0.0.1:7860\n", urls[0])
            assert set(codes_of(await examine(url))) == codes


async def test_real_app_behind_an_advised_server(behind, gradio_url):
    assert (await examine(behind(ADVISED, gradio_url))).problems == ()


@pytest.mark.parametrize("passes", [True, False])
async def test_websockets_are_tried(behind, passes):
    server = ADVISED_FOR_WEBSOCKETS if passes else ADVISED
    async with old_app() as (url, _):
        found = codes_of(await examine(behind(server, url.rstrip("/"))))
    assert ("websocket-blocked" in found) is not passes
    assert "old-release" in found
