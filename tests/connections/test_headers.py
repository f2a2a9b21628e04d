"""Which requests go over connections of our own, and the blocks of their headers."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import pytest

from triojob.gradio.http.headers import (
    HeaderCache,
    Headers,
    bypasses_proxies,
    is_framed_by_caller,
    needs_no_quoting,
)

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.mark.parametrize(
    "settings, host, expected",
    [
        ({}, "app.test", True),
        ({"NO_PROXY": "other.test"}, "app.test", True),
        ({"HTTP_PROXY": "http://proxy.test"}, "app.test", False),
        ({"HTTPS_PROXY": "http://proxy.test"}, "app.test", False),
        ({"ALL_PROXY": "socks5://proxy.test"}, "app.test", False),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "app.test"}, "app.test", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "b.test, App.test"}, "app.test", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "test"}, "app.test", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": ".test"}, "app.test", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "*"}, "app.test", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "pp.test"}, "app.test", False),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "a.app.test"}, "app.test", False),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "127.0.0.1"}, "127.0.0.1", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "::1"}, "::1", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "localhost"}, "localhost", True),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": "localhost"}, "app.localhost", False),
        ({"ALL_PROXY": "http://proxy.test", "NO_PROXY": ""}, "localhost", False),
    ],
)
def test_proxies(monkeypatch, settings, host, expected):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert bypasses_proxies(host) is expected
    if expected:
        # Where we go directly, httpx would too.
        client = httpx.AsyncClient(verify=False)
        shown = f"[{host}]" if ":" in host else host
        for scheme in ("http", "https"):
            transport = client._transport_for_url(httpx.URL(f"{scheme}://{shown}/"))
            assert transport is client._transport


@pytest.mark.parametrize(
    "target",
    ["config", "gradio_api/queue/data?session_hash=ab12", "file=a/b.txt", "a%20b", "", "a..b"],
)
def test_plain_targets_need_no_quoting(target: str) -> None:
    assert needs_no_quoting(target)
    assert httpx.URL(f"http://app.test/{target}").raw_path == f"/{target}".encode()


@pytest.mark.parametrize(
    "target", ["a b", "ä", "a%2", "a%zz", "a\r\nb", "a#b", "../a", "a/./b", "a[b]", 'a"b', "a\x00"]
)
def test_other_targets(target: str) -> None:
    assert not needs_no_quoting(target)


def test_headers_that_frame_a_request() -> None:
    assert is_framed_by_caller(["x-a", "transfer-encoding"])
    assert is_framed_by_caller(["connection"])
    assert not is_framed_by_caller(["x-a", "content-type"])


class Counted:
    """Builds headers, and counts how often."""

    def __init__(self) -> None:
        self.cookies = httpx.Cookies()
        self.heads = HeaderCache(self.build, self.cookies.jar)
        self.built = 0

    def build(self, method: str, path: str, own: Headers) -> Iterable[tuple[bytes, bytes]]:
        self.built += 1
        request = httpx.Request(
            method, f"http://app.test/{path}", headers=dict(own), cookies=self.cookies
        )
        return request.headers.raw

    def block(self, path: str = "a", own: Headers = ()) -> bytes:
        return self.heads.block("POST", path, own)


def test_equal_requests_share_a_built_block() -> None:
    counted = Counted()
    assert counted.block() == b"Host: app.test\r\n"
    assert counted.block("b") == b"Host: app.test\r\n"
    assert counted.built == 1
    assert counted.block(own=(("x-a", "1"),)) == b"Host: app.test\r\nx-a: 1\r\n"
    assert counted.built == 2


def test_a_cookie_goes_where_it_belongs() -> None:
    counted = Counted()
    counted.block()
    counted.cookies.set("sticky", "1", domain="app.test", path="/a")
    for _ in range(2):
        assert b"Cookie: sticky=1\r\n" in counted.block("a")
        assert b"Cookie" not in counted.block("b")
    assert counted.built == 3
    counted.cookies.set("sticky", "2", domain="app.test", path="/a")
    assert b"Cookie: sticky=2\r\n" in counted.block("a")
    counted.cookies.clear()
    assert b"Cookie" not in counted.block("a")


def test_expiring_cookie_is_checked_each_time() -> None:
    counted = Counted()
    answer = httpx.Response(
        200,
        headers={"set-cookie": "a=1; Max-Age=100"},
        request=httpx.Request("GET", "http://app.test/"),
    )
    counted.cookies.extract_cookies(answer)
    for built in (1, 2, 3):
        assert b"a=1" in counted.block()
        assert counted.built == built


def test_few_blocks_are_kept() -> None:
    counted = Counted()
    for number in range(1000):
        counted.block(own=(("x-a", str(number)),))
    assert len(counted.heads._blocks) <= 64
