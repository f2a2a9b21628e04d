"""What calls and clients raise: types that programs catch, and words, as gradio_client's."""

from __future__ import annotations

import concurrent.futures
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import triojob.sync
from qa.differential.support import (
    SECONDS,
    AnyClient,
    Pair,
    assert_same_failure,
    ended,
    failure_of,
    fields,
    new_key,
    opened,
    sides,
    status_when,
    their_client,
    updates_of,
)
from tests.support.gradio import ServeGradio

LOGIN = ("trio", "s3cret")
"""Of `gradio_app.py`, which takes long to import."""

OPTIONS: dict[str, Any] = {"verbose": False, "analytics_enabled": False, "download_files": False}


def open_and_close(module: Any, src: str, **options: Any) -> None:
    """Open a client of that module, and close it if that should work."""
    module.Client(src, **{**OPTIONS, **options}).close()


def same_refusal(src: str, **options: Any) -> BaseException:
    """Return what opening a client raises, which must be the same with both."""

    def open_theirs(_: Any) -> None:
        with their_client(src, **{**OPTIONS, **options}):
            pass

    theirs = failure_of(open_theirs, None)
    ours = failure_of(lambda module: open_and_close(module, src, **options), triojob.sync)
    assert_same_failure(ours, theirs)
    return ours


# --- What the app raises ---


@pytest.mark.parametrize("name", ["/fail", "/fail_hard", "/fail_midway", "/fail_hard_midway"])
def test_app_errors(pair: Pair, name: str) -> None:
    error = pair.same_failure(lambda client: client.predict(api_name=name))
    assert isinstance(error, triojob.sync.AppError)
    again = pair.same_failure(lambda client: client.submit(api_name=name).result())
    assert str(again) == str(error)

    def ask(client: AnyClient) -> str:
        return str(client.submit(api_name=name).exception(timeout=SECONDS))

    assert pair.same(ask) == str(error)


def test_title_and_duration_of_an_error(pair: Pair) -> None:
    error = pair.same_failure(lambda client: client.predict(api_name="/fail"))
    assert isinstance(error, triojob.sync.AppError)
    assert (error.message, error.title, error.duration) == ("boom", "Oops", 3)
    error = pair.same_failure(lambda client: client.predict(api_name="/fail_hard"))
    assert isinstance(error, triojob.sync.AppError)
    assert (error.message, error.title, error.duration) == ("kaput", "Error", 10)


def test_validation(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        return client.predict("", 500, api_name="/validated")

    error = pair.same_failure(call)
    assert isinstance(error, triojob.sync.ValidationError)
    assert "2 parameter(s) failed validation" in str(error)
    assert pair.same(lambda client: client.predict("Ada", 36, api_name="/validated"))


def test_local_failure_has_no_updates(pair: Pair) -> None:
    def call(client: AnyClient) -> list[Any]:
        job = client.submit("", 500, api_name="/validated")
        job.exception()
        return [fields(update) for update in updates_of(job)]

    assert pair.same(call) == []


@pytest.fixture(scope="module")
def strict(serve_gradio: ServeGradio) -> str:
    """Serve an app that hides errors, lets one call wait, takes small files, and wants a login."""
    limits = ("--queue-size", "1", "--max-file-size", "1kb")
    return serve_gradio("--hide-errors", "--auth", *limits)


@pytest.fixture(scope="module")
def strict_pair(strict: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with opened(strict, tmp_path_factory.mktemp("strict"), auth=LOGIN) as both:
        yield both


@pytest.mark.parametrize("name", ["/fail", "/fail_hard", "/fail_midway", "/fail_hard_midway"])
def test_app_errors_that_are_hidden(strict_pair: Pair, name: str) -> None:
    error = strict_pair.same_failure(lambda client: client.predict(api_name=name))
    assert isinstance(error, triojob.sync.AppError)
    assert ("show_error=True" in str(error)) is (name in ("/fail_hard", "/fail_hard_midway"))


@pytest.mark.parametrize("name", ["/fail_hard", "/fail_hard_midway"])
def test_updates_of_an_error_that_is_hidden(strict_pair: Pair, name: str) -> None:
    def call(client: AnyClient) -> list[Any]:
        job = client.submit(api_name=name)
        job.exception()
        return [fields(update) for update in updates_of(job)]

    assert strict_pair.same(call)[-1]["outputs"]["error"] is None


def test_queue_that_is_full(strict_pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        running = client.submit(SECONDS, new_key("runs"), api_name="/sleeper")
        status_when(running, "PROCESSING")
        waiting = client.submit(SECONDS, new_key("waits"), api_name="/sleeper")
        status_when(waiting, "IN_QUEUE")
        try:
            return client.predict(0, new_key("never"), api_name="/sleeper")
        finally:
            waiting.cancel()
            running.cancel()

    def theirs_then_ours(client: AnyClient) -> Any:
        # The server may not have let go of the other's calls yet.
        while True:
            error = failure_of(call, client)
            if isinstance(error, (triojob.sync.QueueError, *QUEUE_ERRORS)):
                raise error

    error = strict_pair.same_failure(theirs_then_ours)
    assert str(error) == "Queue is full! Please try again."


QUEUE_ERRORS = (sides(None).utils.QueueError,)


def test_file_that_is_too_large(strict_pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(bytes(2000))

    def call(client: AnyClient) -> Any:
        return client.predict(sides(client).handle_file(path), api_name="/upper_file")

    for client in strict_pair:
        error = failure_of(call, client)
        assert isinstance(error, ValueError)
        assert "large.txt" in str(error)
        assert "exceeds the maximum file size of 1024 bytes" in str(error)
    assert "parameter 'path' of /upper_file" in str(error)


# --- Arguments ---


@pytest.mark.parametrize(
    "args, options",
    [
        (("x",), {"api_name": "/nowhere"}),
        (("x",), {"api_name": "greet"}),
        (("x",), {"api_name": ""}),
        (("x",), {"api_name": "/hidden"}),
        (("x",), {"fn_index": 9999}),
        (("x",), {"fn_index": -1}),
        (("x",), {}),
        ((), {"api_name": "/greet"}),
        (("x",), {"api_name": "/add"}),
        (("x",), {"api_name": "/greet", "nome": "y"}),
        (("x",), {"api_name": "/greet", "name": "y"}),
        ((), {"api_name": "/greet", "nome": "y"}),
        (("x", 1), {"api_name": "/defaults", "text": "y"}),
    ],
)
def test_calls_that_make_no_sense(pair, args, options):
    pair.same_failure(lambda client: client.submit(*args, **options))
    pair.same_failure(lambda client: client.predict(*args, **options))


def test_number_of_a_private_endpoint(pair: Pair) -> None:
    numbers = {item["api_name"]: item["id"] for item in pair.ours.config["dependencies"]}
    pair.same_failure(lambda client: client.submit("x", fn_index=numbers["hidden"]))


def test_file_that_is_not_there(pair: Pair) -> None:
    error = pair.same_failure(lambda client: sides(client).handle_file("/no/such/file"))
    assert "/no/such/file does not exist" in str(error)


def test_file_that_vanishes_before_it_is_sent(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"

    def call(client: AnyClient) -> Any:
        path.write_text("here")
        mark = sides(client).handle_file(path)
        path.unlink()
        return client.predict(mark, api_name="/upper_file")

    theirs, ours = (failure_of(call, client) for client in pair)
    assert isinstance(ours, FileNotFoundError)
    assert isinstance(theirs, FileNotFoundError)
    assert (ours.errno, ours.filename) == (theirs.errno, theirs.filename)


# --- Waiting ---


def test_result_that_takes_too_long(pair: Pair) -> None:
    def call(client: AnyClient) -> Any:
        job = client.submit(100, 0.1, new_key("timeout"), api_name="/ticker_async")
        try:
            return job.result(timeout=0)
        finally:
            assert not job.done()
            job.cancel()

    for client in pair:
        error = failure_of(call, client)
        assert isinstance(error, concurrent.futures.TimeoutError)
        assert isinstance(error, TimeoutError)


# --- Clients that can't be opened ---


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_that_is_not_there() -> None:
    src = f"http://127.0.0.1:{free_port()}/"
    for module in (sides(None), triojob.sync):
        with pytest.raises(httpx.ConnectError):
            open_and_close(module, src)


def test_address_with_something_else(gradio_url: str) -> None:
    src = f"{gradio_url}/nothing/here/"
    for module in (sides(None), triojob.sync):
        with pytest.raises(ValueError, match=f"^Could not fetch config for {src}"):
            open_and_close(module, src)


def test_folder_for_files_that_is_a_file(gradio_url: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    error = same_refusal(gradio_url, download_files=path)
    assert "is not a directory" in str(error)


def test_login_that_is_missing(strict: str) -> None:
    error = same_refusal(strict)
    assert isinstance(error, triojob.sync.AuthenticationError)
    assert "credentials were not provided" in str(error)


def test_login_with_a_wrong_password(strict: str) -> None:
    for module in (sides(None), triojob.sync):
        with pytest.raises(ValueError, match=f"^Could not login to {strict}/\\."):
            open_and_close(module, strict, auth=(LOGIN[0], "wrong"))


def test_login(strict_pair: Pair) -> None:
    assert strict_pair.same(lambda client: client.predict(api_name="/whoami")) == LOGIN[0]
    found = strict_pair.same(lambda client: ended(client.submit("x", api_name="/greet")).result())
    assert found == "Hello x!"
