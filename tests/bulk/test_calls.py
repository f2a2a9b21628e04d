"""The calls of a batch: what becomes of each row."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import pytest
import trio

from tests.bulk.support import BulkServer
from tests.support.threads import Watched, wait_for
from triojob import (
    AppError,
    AuthenticationError,
    ConnectionFailed,
    EndpointNotFound,
    Limits,
    NoReplicaAvailable,
    Retry,
)
from triojob.bulk import BatchCaller

IMPATIENT = {"limits": Limits(refused_for=0)}
NO_PAUSE = Retry(wait_initial=0, wait_jitter=0)


def test_each_row_has_result_or_error(server: BulkServer):
    caller = BatchCaller(server.url, "/divide")
    batch = {"a": [1, 2, 3, 4], "b": [1, 0, None, 2], "other": "wxyz"}
    assert caller(batch) == {
        **batch,
        "result": [1, None, None, 2],
        "error": [None, "AppError: b is 0", "AppError: b is missing", None],
    }
    assert list(batch) == ["a", "b", "other"]  # it is left as it was


def test_rows_avoid_replica_that_is_gone(server: BulkServer):
    others = [BulkServer(), BulkServer()]
    try:
        caller = BatchCaller([server.url, *(each.url for each in others)], "/greet")
        names = [f"{n}" for n in range(30)]
        assert caller({"name": names})["result"] == [f"Hello {name}!" for name in names]
        assert all(each.joins() for each in (server, *others))
        others.pop().close()
        copied = pickle.loads(pickle.dumps(caller))
        assert copied({"name": names})["error"] == [None] * 30
        assert len(server.joins()) + len(others[0].joins()) > 30
    finally:
        for each in others:
            each.close()


def test_replicas_that_never_open_are_not_retried(server: BulkServer):
    other = BulkServer()
    try:
        for each in (server, other):
            each.server.app.auth = ("ada", "secret")
        caller = BatchCaller([server.url, other.url], "/greet", retry=NO_PAUSE)
        with pytest.raises(NoReplicaAvailable) as caught:
            caller({"name": ["Ada"]})
        assert {type(error) for error in caught.value.failures.values()} == {AuthenticationError}
        assert server.openings() == other.openings() == 1
    finally:
        other.close()


def test_invalid_row_is_error_and_not_sent(server: BulkServer):
    caller = BatchCaller(server.url, "/greet")
    done = caller({"name": ["Ada", b"bytes"]})
    assert done["result"] == ["Hello Ada!", None]
    assert done["error"][1].startswith("TypeError: ")
    assert len(server.joins()) == 1


def test_failure_can_be_raised_and_cancel_others(server):
    caller = BatchCaller(server.url, "/held", on_error="raise", limit=2)
    thread = Watched(caller, {"text": ["first", b"bytes", "third", "fourth"]})
    with pytest.raises(TypeError, match="takes text, not b'bytes'"):
        thread.get()
    server.until(lambda server: not server.running)
    assert not server.calls["fourth"]


def test_error_of_the_app_is_raised_unchanged(server: BulkServer):
    caller = BatchCaller(server.url, "/divide", on_error="raise")
    with pytest.raises(AppError, match="b is 0") as caught:
        caller({"a": [1, 1], "b": [1, 0]})
    assert caught.value.endpoint == "/divide"


def test_no_more_calls_run_than_limit(server: BulkServer):
    texts = [f"text {n}" for n in range(12)]
    thread = Watched(BatchCaller(server.url, "/held", limit=3), {"text": texts})
    wait_for(lambda: server.held == 3)
    server.open_gate()
    assert thread.get()["result"] == [text.upper() for text in texts]
    assert server.most == 3
    assert server.calls == Counter(texts)


def test_a_slow_call_holds_up_no_others(server: BulkServer):
    server.slow = "first"
    thread = Watched(BatchCaller(server.url, "/held", limit=2), {"text": ["first", *"abcdefgh"]})
    wait_for(lambda: server.calls.total() == 9)
    server.open_gate()
    assert thread.get()["result"] == ["FIRST", *"ABCDEFGH"]


def test_slow_call_is_cancelled_on_server_alone(server):
    caller = BatchCaller(server.url, "/held", timeout=0.3)
    done = caller({"text": ["a", "b"]})
    assert done["result"] == [None, None]
    assert set(done["error"]) == {
        "TooSlowError: /held took longer than 0.3 s and was cancelled; increase timeout="
    }
    # By themselves they would never end.
    server.until(lambda server: not server.running)


def test_calls_that_never_started_are_made_again(server: BulkServer):
    server.refuse("POST", "/queue/join", 429, times=2)
    done = BatchCaller(server.url, "/greet", retry=NO_PAUSE)({"name": ["Ada", "Grace"]})
    assert done["result"] == ["Hello Ada!", "Hello Grace!"]
    assert len(server.joins()) == 4


def test_without_retry_such_call_is_error(server: BulkServer):
    server.refuse("POST", "/queue/join", 429, times=1)
    done = BatchCaller(server.url, "/greet", retry=None, client_options=IMPATIENT)(
        {"name": ["Ada", "Grace"]}
    )
    assert sorted(error is None for error in done["error"]) == [False, True]


def test_opening_is_made_again_as_calls_are(server: BulkServer):
    server.refuse("GET", "/config", 503, times=2)
    done = BatchCaller(server.url, "/greet", retry=NO_PAUSE)({"name": ["Ada"]})
    assert done["result"] == ["Hello Ada!"]


@pytest.mark.parametrize("retry", [None, Retry(attempts=2, wait_initial=0, wait_jitter=0)])
def test_unopened_app_raises_and_blames_no_row(retry):
    caller = BatchCaller("http://127.0.0.1:9", "/greet", retry=retry)
    with pytest.raises(ConnectionFailed):
        caller({"name": ["Ada"]})


def test_endpoint_that_is_not_there_is_raised(server: BulkServer):
    with pytest.raises(EndpointNotFound, match="'/greet'"):
        BatchCaller(server.url, "/greeting")({"name": ["Ada"]})


def test_a_batch_without_rows_opens_nothing():
    caller = BatchCaller("http://127.0.0.1:9", "/greet", retry=None)
    assert caller({"name": []}) == {"name": [], "result": [], "error": []}


def test_columns_and_constants_go_to_named_parameters(server: BulkServer):
    caller = BatchCaller(server.url, "/divide", inputs={"a": "total"}, fixed_arguments={"b": 2})
    assert caller({"total": [2, 3], "b": ["not", "this"]})["result"] == [1, 1.5]


def test_constant_goes_before_column_of_its_name(server: BulkServer):
    caller = BatchCaller(server.url, "/divide", fixed_arguments={"b": 2})
    assert caller({"a": [2], "b": [1]})["result"] == [1]


@pytest.mark.parametrize(
    "options, batch, message",
    [
        ({"inputs": {"x": "a"}}, {"a": [1]}, "/divide has no parameter 'x'; it has 'a', 'b'"),
        ({"fixed_arguments": {"y": 1}}, {"a": [1]}, "no parameter 'y'"),
        ({"files": ["z"]}, {"a": [1]}, "no parameter 'z'"),
        ({"inputs": {"a": "n"}}, {"a": [1]}, "no column 'n'; it has 'a'"),
        ({"key": "id"}, {"a": [1], "b": [1]}, "no column 'id'; it has 'a', 'b'"),
        ({"output": ["one", "two"]}, {"a": [1], "b": [1]}, "1 outputs, but output= names 2"),
        ({}, {"a": [1], "b": [1], "result": [1]}, "already has a column 'result'"),
        ({}, {"a": [1], "b": [1], "error": [1]}, "already has a column 'error'"),
    ],
)
def test_error_of_every_row_raises_before_calls(server, options, batch, message):
    with pytest.raises((TypeError, ValueError), match=message):
        BatchCaller(server.url, "/divide", **options)(batch)
    assert server.joins() == []


def test_a_parameter_without_a_value_is_named(server: BulkServer):
    caller = BatchCaller(server.url, "/greet")
    with pytest.raises(TypeError, match="/greet needs 'name'; name its column in inputs="):
        caller({"other": ["Ada"]})


def test_outputs_of_endpoint_get_column_each(server: BulkServer):
    caller = BatchCaller(server.url, "/measure", output=["upper", "length"])
    done = caller({"text": ["abc", b""]})
    assert list(done) == ["text", "upper", "length", "error"]
    assert (done["upper"], done["length"]) == (["ABC", None], [3, None])
    assert [error is None for error in done["error"]] == [True, False]
    assert BatchCaller(server.url, "/measure")({"text": ["abc"]})["result"] == [("ABC", 3)]


def test_failed_conversion_is_an_error(server: BulkServer):
    batch = {"text": ["fine", "odd"]}
    caller = BatchCaller(server.url, "/odd", transform=json.dumps)
    assert caller(batch)["result"] == ['"fine"', '{"n": 1}']
    done = BatchCaller(server.url, "/odd", transform=str.upper)(batch)
    assert done["result"] == ["FINE", None]
    assert done["error"][1].startswith("TypeError: ")
    with pytest.raises(TypeError):
        BatchCaller(server.url, "/odd", transform=str.upper, on_error="raise")(batch)


def test_key_goes_with_each_call_as_header(server: BulkServer):
    caller = BatchCaller(server.url, "/greet", key="id")
    done = caller({"name": ["Ada", "Grace", "Edsger", "Barbara"], "id": [7, "x", None, "é"]})
    assert done["result"] == ["Hello Ada!", "Hello Grace!", None, None]
    assert done["error"][2] == "ValueError: the row has no key in the column 'id'"
    assert done["error"][3].startswith("ValueError: headers: the value of 'Idempotency-Key'")
    assert sorted(join.headers["idempotency-key"] for join in server.joins()) == ["7", "x"]


def test_rows_with_results_can_be_skipped(server: BulkServer):
    caller = BatchCaller(server.url, "/divide", skip_completed=True)
    first = caller({"a": [1, 4], "b": [1, 0]})
    assert first["result"] == [1, None]
    second = caller({**first, "b": [9, 2]})
    assert second == {"a": [1, 4], "b": [9, 2], "result": [1, 2], "error": [None, None]}
    assert len(server.joins()) == 3


def test_paths_in_column_are_sent_as_files(server: BulkServer, tmp_path):
    path = tmp_path / "picture.txt"
    path.write_text("content", encoding="utf-8")
    caller = BatchCaller(server.url, "/size", files="file")
    done = caller({"file": [str(path), str(tmp_path / "none.txt"), None]})
    assert done["result"] == [7, None, 0]
    assert done["error"][1].startswith("FileNotFoundError: ")


async def test_cancelling_wait_cancels_calls_on_server_too(server: BulkServer):
    caller = BatchCaller(server.url, "/held")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, caller, {"text": ["a", "b"]})
        await trio.to_thread.run_sync(wait_for, lambda: server.held == 2)
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(
        server.until, lambda server: len(server.cancels) == 2 and not server.running
    )


async def test_the_trio_thread_is_not_blocked(server: BulkServer):
    with pytest.raises(RuntimeError, match=r"trio\.to_thread\.run_sync"):
        BatchCaller(server.url, "/greet")({"name": ["Ada"]})
