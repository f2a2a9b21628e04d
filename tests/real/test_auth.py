"""An app that asks for a login: all works as without, for each user apart."""

from __future__ import annotations

import pytest
import trio

from tests.support.gradio import ServeGradio
from tests.support.hanging import SECONDS
from tests.support.opening import must_not_open
from tests.support.real import (
    assert_stopped,
    new_key,
    opened,
    promptly,
)
from triojob import AuthenticationError, Client, JobCancelled, JobGroup

# As in `gradio_app.py`.
USERS = {"trio": "s3cret", "ada": "l0velace", "grace": "h0pper"}
LOGIN = ("trio", USERS["trio"])


@pytest.fixture(scope="module")
def guarded_url(serve_gradio: ServeGradio) -> str:
    """Give the URL of an app that asks for a login."""
    return serve_gradio("--auth")


async def test_plain_call_and_job_and_session(guarded_url: str) -> None:
    async with opened(guarded_url, auth=LOGIN) as client, client.session() as session:
        for surface in (client, session):
            assert await surface.predict("Ada", api_name="/greet") == "Hello Ada!"
            assert await surface.submit("Ada", api_name="/greet").result() == "Hello Ada!"
            assert await surface.predict(api_name="/whoami") == "trio"
        assert await client.predict(api_name="/bump") == 1
        assert await client.predict(api_name="/bump") == 2
        assert await session.predict(api_name="/bump") == 1


@pytest.mark.parametrize("in_session", [False, True], ids=["isolated", "session"])
async def test_cancelling_stops_the_generator(guarded_url: str, in_session: bool) -> None:
    async with opened(guarded_url, auth=LOGIN) as client, client.session() as session:
        key = new_key("auth")
        surface = session if in_session else client
        job = surface.submit(1000, 0.05, key, api_name="/ticker")
        async for output in job:
            if output == "2":
                break
        job.cancel()
        async with promptly():
            with pytest.raises(JobCancelled):
                await job.result()
        await assert_stopped(client, key)
        # And the next call has the login still.
        assert await surface.predict("Ada", api_name="/greet") == "Hello Ada!"


@pytest.mark.parametrize(
    "user, password",
    [("trio", "secret"), ("trio", ""), ("nobody", "s3cret"), ("ada", "s3cret"), ("", "")],
)
async def test_wrong_password_is_refused(guarded_url: str, user: str, password: str) -> None:
    with trio.fail_after(SECONDS):
        with pytest.raises(AuthenticationError, match=f"refused the login of user '{user}'"):
            await must_not_open(Client(guarded_url, auth=(user, password)))


async def test_missing_password_says_what_to_do(guarded_url: str) -> None:
    with trio.fail_after(SECONDS):
        with pytest.raises(AuthenticationError, match=r"pass auth=\(user, password\)"):
            await must_not_open(Client(guarded_url))


async def test_several_users_have_sessions_of_their_own(guarded_url: str) -> None:
    clients: dict[str, Client] = {}
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            ended = trio.Event()

            async def live(user: str, *, task_status: trio.TaskStatus[None]) -> None:
                async with Client(guarded_url, auth=(user, USERS[user])) as client:
                    clients[user] = client
                    task_status.started()
                    await ended.wait()

            for user in USERS:
                await nursery.start(live, user)
            async with JobGroup() as group:
                names = [
                    group.submit(clients[user].endpoint("/whoami"))
                    for _ in range(5)
                    for user in USERS
                ]
            assert [await job.result() for job in names] == [*USERS] * 5
            for count in (1, 2):
                for client in clients.values():
                    assert await client.predict(api_name="/bump") == count
            ended.set()
