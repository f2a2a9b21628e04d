"""``gr.render``: functions that an app makes for one session while it runs."""

from __future__ import annotations

import pytest

from tests.support.real import opened
from triojob import EndpointNotFound, JobGroup, RenderUpdate


async def test_functions_that_a_render_has_made(gradio_url: str) -> None:
    async with opened(gradio_url) as client, client.session() as session:
        job = session.submit(3, api_name="/apply")
        (render,) = [u async for u in job.updates() if isinstance(u, RenderUpdate)]
        numbers = {d["api_name"]: d["id"] for d in render.config["dependencies"]}
        assert len(numbers) == 6
        say = [session.endpoint(fn_index=numbers[f"say_{i}"]) for i in range(3)]
        async with JobGroup() as group:
            jobs = [group.submit(each, "hi") for each in say]
        assert [await job.result() for job in jobs] == ["0: hi", "1: hi", "2: hi"]
        # Its State is that of the session.
        assert await session.predict(api_name="/bump") == 1
        assert await session.predict(api_name="/bump_1") == 2
        # The others don't have it.
        with pytest.raises(EndpointNotFound):
            client.endpoint("/say_1")
        # Rendered anew, the old ones are gone.
        again = session.submit(1, api_name="/apply")
        (render,) = [u async for u in again.updates() if isinstance(u, RenderUpdate)]
        number = render.config["dependencies"][0]["id"]
        assert number not in numbers.values()
        with pytest.raises(EndpointNotFound):
            session.endpoint("/say_1")
        assert await session.predict("hi", fn_index=number) == "0: hi"
