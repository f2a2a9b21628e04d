"""What goes wrong in the app."""

from __future__ import annotations

import pytest

from qa.eras.support import PASSWORD, USERNAME, Era, behaviour
from tests.support.real import assert_idle, opened
from triojob import AppError, AuthenticationError, Client


@behaviour("Failures", "`gr.Error`")
async def test_an_error_for_the_user(era: Era) -> None:
    async with opened(era.wide) as client:
        with pytest.raises(AppError) as caught:
            await client.predict("boom", api_name="/fail")
        assert caught.value.endpoint == "/fail"
        if caught.value.message == "'boom'":
            assert era.version <= (5, 4)
            era.instead("The app puts the message into quotes: `'boom'` for `gr.Error(\"boom\")`.")
        else:
            assert caught.value.message == "boom"


@behaviour("Failures", "another exception, shown")
async def test_another_exception(era: Era) -> None:
    async with opened(era.wide) as client:
        with pytest.raises(AppError, match=r"^kaput$"):
            await client.predict("kaput", api_name="/fail_hard")


@behaviour("Failures", "another exception, hidden")
async def test_an_exception_that_the_app_hides(era: Era) -> None:
    async with opened(era.guarded, auth=(USERNAME, PASSWORD)) as client:
        with pytest.raises(AppError, match="show_error=True") as caught:
            await client.predict("kaput", api_name="/fail_hard")
        assert caught.value.message is None


@behaviour("Failures", "in the middle of a generator")
async def test_a_generator_that_fails_midway(era: Era) -> None:
    async with opened(era.wide) as client:
        job = client.submit("boom", api_name="/fail_midway")
        seen: list[str] = []
        with pytest.raises(AppError, match="boom"):
            async for text in job:
                seen.append(text)
        assert seen == job.outputs() == ["one", "two"]


@behaviour("Failures", "the next call works")
async def test_the_next_call_works(era: Era) -> None:
    async with opened(era.wide) as client:
        for api_name in ("/fail", "/fail_hard", "/fail_midway"):
            for _ in range(3):
                with pytest.raises(AppError):
                    await client.predict("boom", api_name=api_name)
                assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
        await assert_idle(client)


@behaviour("Login", "right password")
async def test_login(era: Era) -> None:
    async with opened(era.guarded, auth=(USERNAME, PASSWORD)) as client:
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
        assert await client.predict("Ada", api_name="/direct") == "Hello Ada!"
        assert await client.predict(3, api_name="/tokens") == "tok0 tok1 tok2"


@behaviour("Login", "wrong password, or none")
@pytest.mark.parametrize("auth", [(USERNAME, "guess"), None])
async def test_no_login(era: Era, auth: tuple[str, str] | None) -> None:
    with pytest.raises(AuthenticationError) as caught:
        async with Client(era.guarded, auth=auth):
            pass
    assert "guess" not in str(caught.value)
