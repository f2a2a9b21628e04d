"""Options of clients and calls, as the app sees them: headers, cookies, logins, sessions, State."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

import triojob.sync
from qa.differential.support import AnyClient, Pair, opened, their_client
from tests.servers.scripted import Event, open_server
from tests.servers.tls import Authority


def header(client: AnyClient, name: str, **options: Any) -> str:
    """Return a header of a call as the app sees it."""
    return str(client.predict(name, api_name="/header", **options))


# --- Headers ---


@pytest.mark.parametrize(
    "of_client, of_call",
    [
        ({"x-name": "client"}, None),
        ({}, {"x-name": "call"}),
        ({"x-name": "client"}, {"x-name": "call"}),
        ({"X-Name": "client"}, {"x-other": "call"}),
        ({"user-agent": "client"}, None),
        ({"authorization": "Basic abc"}, None),
        ({}, {"authorization": "Bearer of-the-call"}),
        ({}, {"cookie": "a=of-the-call"}),
        ({}, {"x-gradio-user": "call"}),
    ],
)
def test_headers_of_client_and_call(gradio_url, tmp_path, of_client, of_call):
    # What a library says of itself, and how it likes its answers.
    own = {"accept", "accept-encoding", "connection", "content-length", "host"}
    if "user-agent" not in of_client:
        own.add("user-agent")

    def call(client: AnyClient) -> dict[str, str]:
        # Theirs adds to the dictionary that it is given.
        options = {} if of_call is None else {"headers": dict(of_call)}
        seen = client.predict(api_name="/headers", **options)
        return {name: value for name, value in seen.items() if name not in own}

    with opened(gradio_url, tmp_path, headers=of_client) as pair:
        seen = pair.same(call)
    assert seen["x-gradio-user"] == "api"


def test_headers_belong_to_one_call(pair: Pair) -> None:
    def call(client: AnyClient) -> list[str]:
        one = client.submit("x-name", api_name="/header", headers={"x-name": "one"})
        two = client.submit("x-name", api_name="/header", headers={"x-name": "two"})
        return [one.result(), two.result(), header(client, "x-name")]

    assert pair.same(call) == ["one", "two", "None"]


# --- What goes to httpx ---


def test_cookies(gradio_url: str, tmp_path: Path) -> None:
    options = {"cookies": {"flavour": "oat", "size": "large"}}
    with opened(gradio_url, tmp_path, httpx_kwargs=options) as pair:
        cookies = pair.same(lambda client: sorted(header(client, "cookie").split("; ")))
    assert cookies == ["flavour=oat", "size=large"]


def test_login_of_httpx(gradio_url: str, tmp_path: Path) -> None:
    options = {"auth": httpx.BasicAuth("ada", "l0velace")}
    with opened(gradio_url, tmp_path, httpx_kwargs=options) as pair:
        found = pair.same(lambda client: header(client, "authorization"))
    assert found.startswith("Basic ")


@pytest.mark.parametrize("timeout", [30, 30.0, None, httpx.Timeout(30, connect=5)])
def test_timeouts(gradio_url: str, tmp_path: Path, timeout: object) -> None:
    with opened(gradio_url, tmp_path, httpx_kwargs={"timeout": timeout}) as pair:
        assert pair.same(lambda client: client.predict("x", api_name="/greet")) == "Hello x!"


@pytest.mark.parametrize(
    "option",
    [{"trust_env": False}, {"params": {"key": "value"}}, {"follow_redirects": False}],
    ids=lambda option: next(iter(option)),
)
def test_options_of_httpx_that_are_nothing_special(gradio_url, tmp_path, option):
    with opened(gradio_url, tmp_path, httpx_kwargs=option, download_files=False) as pair:
        assert pair.same(lambda client: client.predict("x", api_name="/greet")) == "Hello x!"


@pytest.mark.parametrize(
    "name",
    ["base_url", "default_encoding", "headers", "limits", "max_redirects", "nonsense", "verify"],
)
def test_options_that_are_not_for_httpx(gradio_url: str, name: str) -> None:
    with (
        pytest.raises(TypeError, match=name),
        their_client(gradio_url, httpx_kwargs={name: None}),
    ):
        pass
    with pytest.raises(TypeError, match=name):
        triojob.sync.Client(gradio_url, httpx_kwargs={name: None})


NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "environment, option, works",
    [
        ({}, {"proxy": NOWHERE}, False),
        ({"HTTP_PROXY": NOWHERE}, {}, False),
        ({"ALL_PROXY": NOWHERE}, {}, False),
        ({"HTTPS_PROXY": NOWHERE}, {}, True),
        ({"HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}, {}, True),
        ({"HTTP_PROXY": NOWHERE}, {"trust_env": False}, True),
    ],
)
def test_proxies(gradio_url, monkeypatch, environment, option, works):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    for make in (their_client, triojob.sync.Client):
        with (
            nullcontext() if works else pytest.raises(httpx.ConnectError),
            make(gradio_url, httpx_kwargs=dict(option)) as client,
        ):
            assert client.predict("x", api_name="/greet") == "Hello x!"


@pytest.mark.parametrize("known", ["by the system", "by a path", "by an object", "unchecked", ""])
async def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    authority, path = Authority(), tmp_path / "authority.pem"
    authority.write(path)
    ways: dict[str, Any] = {"by a path": str(path), "by an object": authority.client()}
    verify: Any = ways.get(known, known != "unchecked")
    if known == "by the system":
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with open_server(tls=authority.server("127.0.0.1")) as server:

        @server.app.endpoint(inputs=[])
        async def talk(event: Event) -> None:
            await event.completed(["done"])

        def call() -> None:
            for make in (their_client, triojob.sync.Client):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # httpx likes an object better
                    with (
                        nullcontext() if known else pytest.raises(httpx.ConnectError),
                        make(server.url, ssl_verify=verify) as client,
                    ):
                        assert client.predict(api_name="/talk") == "done"

        await trio.to_thread.run_sync(call)


# --- Sessions and State ---


def test_calls_share_a_session_until_reset(gradio_url: str, tmp_path: Path) -> None:
    def call(client: AnyClient) -> list[bool]:
        first = client.predict(api_name="/who")
        again = {client.predict(api_name="/who") for _ in range(3)}
        named = client.session_hash == first
        client.reset_session()
        other = client.predict(api_name="/who")
        return [again == {first}, named, other != first, client.session_hash == other]

    with opened(gradio_url, tmp_path) as pair:
        assert pair.same(call) == [True, True, True, True]


def test_calls_with_state_share_a_session(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path) as pair:
        with ThreadPoolExecutor(4) as threads:
            jobs = [threads.submit(pair.ours.predict, api_name="/bump") for _ in range(8)]
        # Theirs may run several at once, from one State.
        assert sorted(job.result() for job in jobs) == [*range(1, 9)]


def test_two_clients_have_two_sessions(pair: Pair) -> None:
    theirs, ours = (client.predict(api_name="/who") for client in pair)
    assert theirs != ours


def test_state_is_kept_and_reset(gradio_url: str, tmp_path: Path) -> None:
    def call(client: AnyClient) -> list[Any]:
        counts = [client.predict(api_name="/bump") for _ in range(3)]
        client.reset_session()
        return [*counts, client.predict(api_name="/bump")]

    with opened(gradio_url, tmp_path) as pair:
        assert pair.same(call) == [1, 2, 3, 1]


# --- The client itself ---


def test_attributes(pair: Pair) -> None:
    def told(client: AnyClient) -> dict[str, Any]:
        found = {name: getattr(client, name) for name in ("src", "protocol", "space_id", "verbose")}
        return {**found, "version": str(client.app_version)}

    assert pair.same(told)["src"].endswith("/")
    assert pair.same(lambda client: client.config["version"]) == pair.same(
        lambda client: str(client.app_version)
    )


@pytest.mark.parametrize("end", ["", "/"])
def test_url_with_and_without_its_slash(gradio_url: str, tmp_path: Path, end: str) -> None:
    with opened(gradio_url + end, tmp_path) as pair:
        assert pair.same(lambda client: client.src) == gradio_url + "/"


def test_verbose_client_says_what_it_has_loaded(gradio_url, tmp_path, capsys):
    with opened(gradio_url, tmp_path, verbose=True):
        line = f"Loaded as API: {gradio_url}/\n"
        assert capsys.readouterr().out == line * 2
