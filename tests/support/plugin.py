"""Fixtures and hooks of all tests: real Gradio apps, scripted servers, and guards of each test."""

from __future__ import annotations

import functools
import gc
import inspect
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.protocols.server import NewServer
from tests.protocols.sse_v9 import PROTOCOL
from tests.servers.direct import go_direct
from tests.servers.scripted import Chosen, ScriptedServer, open_server
from tests.servers.tls import Authority
from tests.support.gradio import GradioProcess, ServeGradio, SharedGradio, StartGradio
from tests.support.hanging import Watchdog
from tests.support.leftovers import Leftovers
from triojob.gradio.protocol.registry import register

pytest_plugins = ["triojob.testing.pytest"]

REAL_FIXTURES = frozenset({"gradio_url", "serve_gradio", "start_gradio", "era", "rig"})
WITH_PROCESSES = frozenset({"cli", "stress", "sync"})
"""Folders of tests that wait for processes and threads; so do those of the real server."""


_REAL = pytest.StashKey[set[Path]]()
_GRADIO = pytest.StashKey[SharedGradio]()
_FILE = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let scripted servers speak another protocol than ``sse_v3``, and slow tests run."""
    parser.addoption("--new-protocol", action="store_true", help="speak sse_v9")
    parser.addoption("--full", action="store_true", help="run the tests marked `full` too")


def pytest_configure(config: pytest.Config) -> None:
    """Watch for tests that hang: the process ends only if one can't be made to fail alone."""
    if config.getoption("new_protocol"):
        register(PROTOCOL)
        Chosen.protocol, Chosen.server = PROTOCOL.name, NewServer
    config.pluginmanager.register(Watchdog(float(config.getini("faulthandler_timeout")) / 2))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the real server, and let no test end by a stray cancellation.

    The files that need the real server come first, so that it can be ended, and then the other
    long ones: one of them at the end would keep one process busy while others have nothing to do.
    """
    if not config.getoption("full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    for item in items:
        if config.getoption("new_protocol") and item.get_closest_marker("sse_v3"):
            item.add_marker(pytest.mark.skip(reason="sse_v9 has no edits, or can't dequeue"))
        if REAL_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = ended_by_itself(item.obj)
    real = {item.path for item in items if item.get_closest_marker("real")}
    config.stash[_REAL] = real
    items.sort(
        key=lambda item: (item.path not in real, item.path.parent.name not in WITH_PROCESSES)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the real apps when the files of tests that need them have been run."""
    if item.path not in item.config.stash[_REAL] and _GRADIO in item.config.stash:
        item.config.stash[_GRADIO].end()
    if item.path != item.config.stash.get(_FILE, None):
        item.config.stash[_FILE] = item.path
        spare_collector()


def spare_collector() -> None:
    """Have the garbage collector look no more at what was there before this file of tests.

    Many tests collect, and each time it would look at all that the process has imported.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Let a test that ends its process fail alone; see `Spreading`."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.support.spreading import Spreading

    return Spreading(config, log)


def ended_by_itself(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Make a test fail that is left by a `trio.Cancelled` which no scope in it has caught.

    pytest-trio would let it pass: it cancels what is around the test when that has ended.
    """

    @functools.wraps(test)
    async def run(*args: object, **kwargs: object) -> None:
        ended = False
        with trio.CancelScope() as scope:
            try:
                await test(*args, **kwargs)
                ended = True
            finally:
                # Catches cancellations, in groups too, and nothing else.
                scope.cancel()
        assert ended, "a cancellation came out of the test"

    return run


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt tests and subprocesses, even if the parent process ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail the test that leaves something in the process, where later tests would find it."""
    leftovers = Leftovers()
    yield
    leftovers.forget_clients()
    found = leftovers.find()
    assert not found, "\n".join(["the test left behind:", *found])


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep the garbage collector off: what is gone in the test has gone by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def _gradio_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keep uploads and the like out of the machine's own folders."""
    return {"GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio"))}


@pytest.fixture(scope="session")
def _gradio(_gradio_env: dict[str, str], pytestconfig: pytest.Config) -> Iterator[SharedGradio]:
    """Keep the process of the real Gradio apps that all tests share."""
    shared = pytestconfig.stash[_GRADIO] = SharedGradio(_gradio_env)
    yield shared
    shared.end()


@pytest.fixture(scope="module")
def gradio_url(_gradio: SharedGradio) -> str:
    """Give the URL of a real Gradio app that all tests share."""
    return _gradio.serve()


@pytest.fixture(scope="module")
def serve_gradio(_gradio: SharedGradio) -> ServeGradio:
    """Serve that app with other flags of `gradio_app.py`; all tests share these servers too."""
    return _gradio.serve


@pytest.fixture(scope="module")
def start_gradio(_gradio_env: dict[str, str]) -> Iterator[StartGradio]:
    """Start real Gradio apps that a test may kill; they end with the module."""
    servers: list[GradioProcess] = []

    def start(*flags: str, env: Mapping[str, str] | None = None) -> GradioProcess:
        server = GradioProcess(flags, {**_gradio_env, **(env or {})})
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.terminate()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """Serve an empty scripted app on a loopback socket: add endpoints to `scripted.app`."""
    async with open_server() as server:
        yield server


@pytest.fixture(params=[pytest.param("httpx", marks=pytest.mark.full), "direct"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test over connections that clients make themselves, and with ``--full`` over httpx's.

    A client that is given a transport, as all those in memory are, would use httpx only; so do most
    other tests.  `BOTH_WAYS` runs both without ``--full``, where it is about connections.
    """
    way: str = request.param
    if way == "direct":
        go_direct(monkeypatch)
    return way


@pytest.fixture
async def memory_app() -> AsyncIterator[ScriptedServer]:
    """Serve an empty scripted app in memory, reached by `memory_app.transport()`.

    Nothing in it waits for real time, so that it goes with `autojump_clock`.
    """
    async with open_server(memory=True) as server:
        yield server


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proxies of the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Make certificates that only `trusting` trusts."""
    return Authority()


@pytest.fixture(scope="session")
def trusting(authority: Authority) -> ssl.SSLContext:
    """Trust the certificates of the authority."""
    return authority.client()
