"""``gr.EventData``: what a browser says of a selection, said by a client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.real import opened
from triojob import AppError, Client, JobGroup


async def component_id(client: Client, label: str) -> int:
    """Return the number of a component."""
    components: Any = client.app._components
    return next(
        number
        for number, component in components.items()
        if component["props"].get("label") == label
    )


async def test_selection_reaches_the_function(gradio_url: str) -> None:
    async with opened(gradio_url) as client:
        selected = client.endpoint("/selected")
        number = await component_id(client, "text")
        data = {"index": [1, 2], "value": "x"}
        third = selected.with_event_data(data, trigger_id=number)
        data["value"] = "changed later, which changes nothing"
        expected = {"text": "abc", "index": [1, 2], "value": "x", "target": "text"}
        assert await third("abc") == expected
        assert await third(text="abc") == expected
        async with JobGroup() as group:
            job = group.submit(third, "abc")
        assert await job.result() == expected
        # The one that it was made of stays as it was: without data there is no selection.
        with pytest.raises(AppError):
            await selected("abc")
        # A function that takes no event data is not harmed by any.
        greet = client.endpoint("/greet").with_event_data(None)
        assert await greet("Ada") == "Hello Ada!"
