"""The acts of ``triojob demo``: features of a job, each in a few lines of the public API.

`Stage` only shows output; the rest of this file is code as your program would contain it.
"""

from __future__ import annotations

import itertools
from typing import Any

import trio

import triojob
from triojob import AppError, Client, Job, JobCancelled, JobGroup, JobTimeout, StatusUpdate

from .demo_stage import Stage

VIEWS = ["Seahorse valley", "Elephant valley", "Lightning", "Spiral", "Mini set", "The whole set"]


async def play(client: Client, stage: Stage, *, jobs: int, limit: int) -> None:
    """Play all acts in order."""
    stage.block(client.view_api(), "client.view_api()")
    await call(client, stage)
    await fan_out(client, stage, jobs, limit)
    await stream(client, stage)
    await cancel(client, stage)
    await time_out(client, stage)
    await fail(client, stage)
    stage.show_results()


async def call(client: Client, stage: Stage) -> None:
    """Call an endpoint as an async function."""
    stage.act("A plain call", 'await translate("hello world", target="Pig Latin")')
    translate = client.endpoint("/translate")
    text: str = await translate("hello world", target="Pig Latin")
    try:
        await translate("hello world", target="Klingon")
    except ValueError as error:
        # Checked against the app's own description, so it was never sent.
        stage.say(f"Checked before sending: {error}")
    stage.end_act(f"The app returned: {text}")


async def fan_out(client: Client, stage: Stage, jobs: int, limit: int) -> None:
    """Run many jobs, a few at a time, and watch them."""
    stage.act("Fan-out", f"async with JobGroup(limit={limit}) as group: group.submit(render, view)")
    stage.say(f"{jobs} jobs; the group runs up to {limit} at a time, the app up to 3")
    render = client.endpoint("/render")
    titles: dict[Job[str], str] = {}
    # Leaving the group waits for its jobs.  A failed job would raise here.
    async with (
        JobGroup(limit=limit) as group,
        triojob.live(group, total=jobs, title=titles.get, console=stage.console),
    ):
        for number, view in zip(range(1, jobs + 1), itertools.cycle(VIEWS)):
            titles[group.submit(render, view)] = f"{number} {view}"
    # They have all ended, so no result has to be awaited.
    pictures = [await job.result() for job in titles]
    stage.block(pictures[0], f"render({VIEWS[0]!r})")
    stage.end_act(f"{len(pictures)} pictures; every job has ended, and no result was lost")


async def stream(client: Client, stage: Stage) -> None:
    """Follow the outputs of a generator."""
    stage.act("A stream", "async for text in job: print(text)")
    job = client.submit("Ada", sentences=4, api_name="/story")
    with stage.words(job.name) as show:
        async for text in job:
            show(text)
    # Outputs are kept: late readers receive all of them, too.
    stage.end_act(f"{len(job.outputs())} outputs from one job")


async def cancel(client: Client, stage: Stage) -> None:
    """Cancel a job that runs, and ask the app whether it stopped."""
    stage.act("A cancellation", 'job.cancel("seen enough")')
    job = client.submit("Spiral", rows=300, api_name="/render")
    async for update in job.updates():
        if isinstance(update, StatusUpdate) and rows_done(update) >= 5:
            break
    stage.say(f"The app has drawn {rows_done(job.status()):g} of 300 rows.")
    job.cancel("seen enough")
    try:
        # Ends at once, even if the app takes long to notice.
        await job.result()
    except JobCancelled as error:
        stage.say(f"{type(error).__name__}: {error}")
    run = await last_run(client)
    stage.end_act(f"The app's record: {run['state']} after {run['rows']} rows")


async def time_out(client: Client, stage: Stage) -> None:
    """Stop waiting for a job; then stop a call."""
    stage.act(
        "Two timeouts",
        "await job.result(timeout=0.5)\nwith trio.move_on_after(0.5): await render()",
    )
    # As with a Future, the timeout applies to the waiting; the job keeps running.
    job = client.submit("Lightning", rows=24, api_name="/render")
    try:
        await job.result(timeout=0.5)
    except JobTimeout as error:
        stage.say(f"{type(error).__name__}: {error}")
    await job.result()
    waited_for = await last_run(client)
    # A call is the work itself: the scope around it stops it, here and on the server.
    render = client.endpoint("/render")
    with trio.move_on_after(0.5):
        await render("Lightning", rows=300)
    called = await last_run(client)
    stage.end_act(
        f"The app's record: the job {waited_for['state']} after {waited_for['rows']} rows, "
        f"the call {called['state']} after {called['rows']}"
    )


async def fail(client: Client, stage: Stage) -> None:
    """Catch the app's exception."""
    stage.act("A failure", "except AppError as error")
    oracle = client.endpoint("/oracle")
    async with JobGroup() as group:
        job = group.submit(oracle, "Tell me something.")
        try:
            await job.result()
        except AppError as error:
            # Caught, so it is handled.  Otherwise the group would raise it at its end.
            stage.end_act(f"{type(error).__name__}: {error.title}: {error.message}")


def rows_done(status: StatusUpdate) -> float:
    """Return the progress that the app reports."""
    return (status.progress_data[0].index or 0) if status.progress_data else 0


async def last_run(client: Client) -> dict[str, Any]:
    """Ask the app about its last run of /render, repeatedly until that has ended."""
    runs = client.endpoint("/runs")
    with trio.fail_after(5):
        while True:
            run: dict[str, Any] = (await runs())[-1]
            if run["state"] != "running":
                return run
            await trio.sleep(0.05)
