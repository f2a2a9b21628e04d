"""What the differential tests share: both clients on one server, and what counts as the same.

The reference is the real gradio_client: a test makes the same calls through it and through
`triojob.sync`, and compares what comes out.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import gradio_client
import gradio_client.client
import gradio_client.exceptions
import gradio_client.utils

import triojob.sync
from tests.support.hanging import SECONDS

AnyClient: TypeAlias = Any
"""A client of either kind; a test must not care which."""

_keys = itertools.count()

COUNTERPARTS: dict[type, type] = {
    gradio_client.exceptions.AppError: triojob.sync.AppError,
    gradio_client.exceptions.AuthenticationError: triojob.sync.AuthenticationError,
    gradio_client.exceptions.ValidationError: triojob.sync.ValidationError,
    gradio_client.utils.QueueError: triojob.sync.QueueError,
    gradio_client.utils.TooManyRequestsError: triojob.sync.TooManyRequestsError,
}
"""What a program that has changed its import line catches."""


def new_key(name: str) -> str:
    """Return a key of the server's records that no other test uses, in whatever process."""
    return f"sync-{name}-{os.getpid()}-{next(_keys)}"


@dataclasses.dataclass(frozen=True)
class Pair:
    """Both clients on one server."""

    theirs: AnyClient
    ours: AnyClient
    folder: Path
    """Where both put the files they get, each into a folder of its own."""

    def __iter__(self) -> Iterator[AnyClient]:
        return iter((self.theirs, self.ours))

    def same(self, call: Callable[[AnyClient], Any]) -> Any:
        """Return ``call(client)``, which must give the same with both."""
        theirs = self.plain(call(self.theirs))
        ours = self.plain(call(self.ours))
        assert ours == theirs, f"ours: {ours!r}\ntheirs: {theirs!r}"
        assert_same_types(ours, theirs)
        return theirs

    def same_failure(self, call: Callable[[AnyClient], Any]) -> BaseException:
        """Return what ``call(client)`` raises, which must be the same with both."""
        theirs, ours = failure_of(call, self.theirs), failure_of(call, self.ours)
        assert_same_failure(ours, theirs)
        return ours

    def plain(self, value: Any) -> Any:
        """Return ``value`` with the name and content of each file that was fetched."""
        if isinstance(value, str) and value.startswith(str(self.folder)):
            return ("a file", Path(value).name, Path(value).read_bytes())
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.plain(item) for item in value)
        return value


@contextmanager
def opened(url: str, folder: Path, **options: Any) -> Iterator[Pair]:
    """Open both clients, with the same options."""
    options = {"verbose": False, "analytics_enabled": False, "ssl_verify": False, **options}
    # Theirs takes the cookies out of the dictionary that it is given.
    own = {"httpx_kwargs": dict(options.get("httpx_kwargs", {}))}
    with their_client(url, **{"download_files": folder / "theirs", **options, **own}) as theirs:
        ours = triojob.sync.Client(url, **{"download_files": folder / "ours", **options})
        try:
            yield Pair(theirs, ours, folder)
        finally:
            ours.close()


@contextmanager
def their_client(url: str, **options: Any) -> Iterator[AnyClient]:
    """Open gradio_client's client; end its threads, which it leaves to the interpreter's end."""
    # Theirs would read the machine's certificates anew for each of its requests.
    usual = {"analytics_enabled": False, "verbose": False, "ssl_verify": False}
    client = gradio_client.Client(url, **{**usual, **options})

    def predict(*args: Any, **kwargs: Any) -> Any:
        # As its own, but that a hang ends one test and not the whole run.
        return client.submit(*args, **kwargs).result(SECONDS)

    client.predict = predict  # type: ignore[method-assign]
    try:
        yield client
    finally:
        # Its close() waits a second for a thread that then still doesn't end.
        client._kill_heartbeat.set()
        for executor in (client.executor, client.helper_executor, client.stream_executor):
            executor.shutdown(wait=False)


def sides(client: AnyClient) -> Any:
    """Return the module that a program imports with this client."""
    return triojob.sync if isinstance(client, triojob.sync.Client) else gradio_client


def failure_of(call: Callable[[AnyClient], Any], client: AnyClient) -> BaseException:
    """Return what ``call(client)`` raises."""
    try:
        value = call(client)
    except Exception as error:  # noqa: BLE001 - which it is, is what the test is about
        return error
    raise AssertionError(f"{type(client).__module__} raised nothing and returned {value!r}")


def assert_same_failure(ours: BaseException, theirs: BaseException) -> None:
    """Show that what catches their exception catches ours, and reads the same."""
    for base in type(theirs).__mro__:
        assert isinstance(ours, COUNTERPARTS.get(base, base)), (ours, base)
    assert str(ours) == str(theirs), f"ours: {ours}\ntheirs: {theirs}"
    for name in ("title", "message", "duration", "visible", "print_exception"):
        assert getattr(ours, name, None) == getattr(theirs, name, None), name


def assert_same_types(ours: Any, theirs: Any) -> None:
    """Show that equal values are of the same types too: 1 and 1.0 and True are equal."""
    assert type(ours) is type(theirs), f"ours: {ours!r}\ntheirs: {theirs!r}"
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            assert_same_types(ours[key], value)
    elif isinstance(theirs, (list, tuple)):
        for mine, other in zip(ours, theirs, strict=True):
            assert_same_types(mine, other)


def ended(job: Any) -> Any:
    """Return a job when it has ended."""
    concurrent.futures.wait([job], timeout=SECONDS)
    assert job.done()
    return job


def until(condition: Callable[[], Any]) -> Any:
    """Poll until ``condition()`` holds, and return what it returned: one of the two can't tell."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.002)
    raise AssertionError("it never came to that")


def status_when(job: Any, code: str) -> Any:
    """Return the status of a job that has this code, the first that is seen."""

    def look() -> Any:
        status = job.status()
        return status if status.code.name == code else None

    return until(look)


def fields(update: Any) -> dict[str, Any]:
    """Return all that an update says, but for times."""
    told = {
        field.name: getattr(update, field.name)
        for field in dataclasses.fields(update)
        if field.name not in ("time", "eta")
    }
    if "code" in told:
        told["code"] = told["code"].name
    if told.get("progress_data") is not None:
        told["progress_data"] = [dataclasses.asdict(unit) for unit in told["progress_data"]]
    return told


def updates_of(job: Any) -> list[Any]:
    """Return every update of a job, as asyncio gets them, up to the one that is final."""

    async def collect() -> list[Any]:
        found = []
        async for update in job:
            found.append(update)
            if update.type == "output" and update.final:
                break  # theirs would wait half a second to see whether there is more
        return found

    # Theirs may lose its way when messages come while it waits: it has a queue for one thread.
    ended(job)
    return asyncio.run(collect())
