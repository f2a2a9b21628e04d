"""Values in and out: what goes to the app and what comes back, whole."""

from __future__ import annotations

import inspect
import time
from typing import Any

import pytest
import trio

from tests.real.support import opened
from triojob import EndpointNotFound, JobGroup, Limits, ProtocolError

RAW_TEXT = "one\u2028two\u2029three\u0085four\x0bfive \U0001f600 caf\u00e9\r\nsix"


async def test_calls_in_each_way(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        greet = client.endpoint("/greet")
        assert await greet("Ada") == "Hello Ada!"
        assert await greet(name="Ada") == "Hello Ada!"
        assert await client.predict("Ada", api_name="greet") == "Hello Ada!"
        assert await client.predict(name="Ada", fn_index=greet.fn_index) == "Hello Ada!"
        assert await client.submit("Ada", api_name="/greet").result() == "Hello Ada!"
        async with JobGroup() as group:
            assert await group.submit(greet, "Ada").result() == "Hello Ada!"
        async with client.session() as session:
            assert await session.predict("Ada", api_name="/greet") == "Hello Ada!"
            assert await session.submit("Ada", api_name="/greet").result() == "Hello Ada!"


async def test_result_may_be_asked_for_after_the_client_has_ended(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit("Ada", api_name="/greet")
    assert job.done
    assert await job.result() == "Hello Ada!"
    assert job.outputs() == ["Hello Ada!"]


async def test_two_outputs_are_a_tuple(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(2, 3, api_name="/add")
        assert await job.result() == (5, 6)
        assert job.outputs() == [(5, 6)]


async def test_endpoint_without_output_returns_the_empty_tuple(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict("x", api_name="/no_output") == ()


async def test_defaults_are_those_of_the_app(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        defaults = client.endpoint("/defaults")
        expected = {
            "text": "x",
            "n": 3,
            "choice": "green",
            "free": "a",
            "flag": True,
            "picks": ["one", "two"],
            "required": "given",
        }
        assert await defaults(required="given") == expected
        assert await defaults("y", flag=False, free="new", picks=[], required="given") == {
            **expected,
            "text": "y",
            "flag": False,
            "free": "new",
            "picks": [],
        }
        assert await client.endpoint("/optional")("text") == "text"
        assert await client.endpoint("/optional")("text", suffix="!") == "text!"


async def test_signature_is_that_of_the_app(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        parameters = inspect.signature(client.endpoint("/defaults")).parameters
        assert list(parameters) == ["text", "n", "choice", "free", "flag", "picks", "required"]
        assert parameters["choice"].default == "green"
        # State is in no signature.
        assert list(inspect.signature(client.endpoint("/bump_slow")).parameters) == ["delay"]
        assert not inspect.signature(client.endpoint("/bump")).parameters


@pytest.mark.parametrize(
    "args, kwargs, error, words",
    [
        ((), {}, TypeError, "'required'"),
        ((), {"required": "r", "chioce": "red"}, TypeError, "'choice'"),
        (("a",), {"required": "r", "text": "b"}, TypeError, "twice"),
        ((1, 2, 3, 4, 5, 6, 7, 8), {}, TypeError, "8 were given"),
        ((), {"required": "r", "choice": "pink"}, ValueError, "'choice'"),
        ((), {"required": "r", "picks": ["four"]}, ValueError, "'picks'"),
        ((), {"required": "r", "n": 11}, ValueError, "'n'"),
        ((), {"required": "r", "n": "3"}, TypeError, "'n'"),
        ((), {"required": float("nan")}, ValueError, "'required'"),
        ((), {"required": object()}, TypeError, "'required'"),
    ],
)
async def test_bad_arguments_are_refused_where_they_are_passed(
    gradio_url, args, kwargs, error, words
):
    async with opened(gradio_url) as client:
        with pytest.raises(error, match=words):
            client.submit(*args, api_name="/defaults", **kwargs)
        assert client.jobs == ()


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        -1.5,
        [],
        {},
        # A bare text, a JSON component would parse.
        ["", RAW_TEXT],
        {"a": [1, {"b": None}], "path": "/not/a/file", "é": "\u0000\U0001f600"},
        [[[]], [{}], "]}", 'data: {"msg":"close_stream"}\n\n'],
        {"__type__": "something else", "value": 1},
        2**60,
    ],
    ids=repr,
)
async def test_json_comes_back_as_it_went(gradio_url: str, value: Any) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict(value, api_name="/echo") == value


async def test_line_separators_and_emoji_come_through(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(api_name="/raw_text")
        assert await job.result() == RAW_TEXT
        assert job.outputs() == [RAW_TEXT]
        assert await client.predict(RAW_TEXT, api_name="/greet") == f"Hello {RAW_TEXT}!"


async def test_nan_is_none(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict(api_name="/odd_json") == {
            "nan": None,
            "infinity": None,
            "text": RAW_TEXT,
            "path": "/not/a/file",
            "nested": [[1, [2]], {"3": None}],
        }


async def test_big_values_in_and_out(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        size = 5_000_000
        assert await client.predict(size, api_name="/big") == "x" * size
        rows = [[i, str(i)] for i in range(100_000)]
        assert await client.predict(rows, api_name="/echo") == rows


async def test_too_big_an_output_fails_its_job_only(gradio_url: str) -> None:
    async with opened(gradio_url, limits=Limits(message_size=500_000)) as client:
        beside = client.submit(0.3, "beside", api_name="/parallel_sleep")
        with pytest.raises(ProtocolError, match="message_size"):
            await client.predict(600_000, api_name="/big")
        assert await client.predict(100_000, api_name="/big") == "x" * 100_000
        assert await beside.result() == "beside"


async def test_batch_endpoint_takes_and_gives_one_sample(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict("abc", api_name="/upper_batch") == "ABC"
        upper = client.endpoint("/upper_batch")
        async with JobGroup() as group:
            jobs = [group.submit(upper, f"text {i}") for i in range(20)]
        assert [await job.result() for job in jobs] == [f"TEXT {i}" for i in range(20)]


async def test_undocumented_and_unqueued_endpoints_are_called_by_name(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        assert await client.predict("Ada", api_name="/quiet") == "Hello Ada!"
        assert await client.predict("Ada", api_name="/direct") == "Hello Ada!"
        assert "/quiet" not in client.view_api()
        assert "/quiet" in client.view_api(all_endpoints=True)


async def test_of_two_functions_of_one_name_the_public_one_is_called(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        twin = client.endpoint("/twin_1")
        assert str(twin.__signature__) == "(who: 'str')"
        assert await twin(who="Ada") == "public Ada"
        with pytest.raises(TypeError, match="misses 'who'"):
            await twin()
        assert await client.predict("Ada", fn_index=twin.fn_index + 1) == "quiet Ada"
        assert await client.predict("Ada", api_name="/twin") == "Hello Ada!"
        assert client.view_api(all_endpoints=True).count("\n/twin_1(who) -> out") == 1


async def test_private_endpoint_is_called_by_number_only(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(EndpointNotFound):
            client.endpoint("/hidden")
        assert "/hidden" not in client.view_api(all_endpoints=True)
        # It stands two before /direct in the app.
        number = client.endpoint("/direct").fn_index - 2
        hidden = client.endpoint(fn_index=number)
        assert await hidden("Ada") == "Hello Ada!"


async def test_what_has_no_function_on_the_server_is_not_found(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        for after in (1, 2):  # the JavaScript one and the one that only cancels
            number = client.endpoint("/direct").fn_index + after
            with pytest.raises(EndpointNotFound):
                client.endpoint(fn_index=number)


async def test_unknown_name_lists_what_there_is(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(EndpointNotFound, match="did you mean '/greet'") as caught:
            client.endpoint("/greeet")
        assert caught.value.nearest == "/greet"
        assert "/add" in caught.value.available
        assert "/quiet" not in caught.value.available
        with pytest.raises(EndpointNotFound, match="api_name="):
            client.submit("no name")


async def test_view_api_tells_what_the_app_offers(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        text = client.view_api()
        assert client.version in text
        assert client.protocol == "sse_v3"
        assert "sse_v3" in text
        assert "/greet(name) -> out" in text
        assert "Greet somebody by name." in text
        assert "/add(a, b) -> sum, product" in text
        assert "'green'" in text


async def test_cached_endpoint_gives_the_same_the_second_time(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        first, second = [
            client.submit(3, text, api_name="/cached_count") for text in ("same", "same")
        ]
        await first.wait()
        third = client.submit(3, "same", api_name="/cached_count")
        for job in (first, second, third):
            assert await job.result() == "same 2"
            assert job.outputs() == ["same 0", "same 1", "same 2"]


async def test_cached_endpoint_in_a_session(gradio_url: str) -> None:
    """A hit sends all its messages before the answer that names the event."""
    async with opened(gradio_url) as client, client.session() as session:
        counted = session.endpoint("/cached_count")
        assert await counted(2, "session") == "session 1"
        async with JobGroup() as group:
            jobs = [group.submit(counted, 2, "session") for _ in range(20)]
        for job in jobs:
            assert job.outputs() == ["session 0", "session 1"]


async def test_calls_one_after_the_other_are_quick(gradio_url: str) -> None:
    """No polling interval, and no stream opened anew by waiting for an old one to time out."""
    async with opened(gradio_url) as client:
        greet = client.endpoint("/greet")
        await greet("warm")
        start = time.monotonic()
        for i in range(50):
            assert await greet(str(i)) == f"Hello {i}!"
        assert time.monotonic() - start < 10
        await trio.lowlevel.checkpoint()
