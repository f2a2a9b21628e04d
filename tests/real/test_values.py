"""Values in and out: what goes to the app and what comes back, whole."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.support.real import opened
from triojob import EndpointNotFound, JobGroup

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


async def test_signature_is_that_of_the_app(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        parameters = inspect.signature(client.endpoint("/defaults")).parameters
        assert list(parameters) == ["text", "n", "choice", "free", "flag", "picks", "required"]
        assert parameters["choice"].default == "green"
        # State is in no signature.
        assert list(inspect.signature(client.endpoint("/bump_slow")).parameters) == ["delay"]
        assert not inspect.signature(client.endpoint("/bump")).parameters


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


async def test_private_endpoint_is_called_by_number_only(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        with pytest.raises(EndpointNotFound):
            client.endpoint("/hidden")
        assert "/hidden" not in client.view_api(all_endpoints=True)
        # It stands two before /direct in the app.
        number = client.endpoint("/direct").fn_index - 2
        hidden = client.endpoint(fn_index=number)
        assert await hidden("Ada") == "Hello Ada!"


async def test_endpoint_without_function_is_not_found(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        for after in (1, 2):  # the JavaScript one and the one that only cancels
            number = client.endpoint("/direct").fn_index + after
            with pytest.raises(EndpointNotFound):
                client.endpoint(fn_index=number)


async def test_cached_endpoint_in_a_session(gradio_url: str) -> None:
    """A hit sends all its messages before the answer that names the event."""
    async with opened(gradio_url) as client, client.session() as session:
        counted = session.endpoint("/cached_count")
        assert await counted(2, "session") == "session 1"
        async with JobGroup() as group:
            jobs = [group.submit(counted, 2, "session") for _ in range(20)]
        for job in jobs:
            assert job.outputs() == ["session 0", "session 1"]
