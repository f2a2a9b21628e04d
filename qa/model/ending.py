"""How a program of the model ends: all scopes do, and nothing is left."""

from __future__ import annotations

import trio

from qa.model import checks
from qa.model.world import World

LONG = 20_000
"""Seconds on the mock clock in which all ends; only what hangs takes longer."""


async def restart_again_and_again(world: World) -> None:
    """End what hangs in the app, and what comes after it; nobody cancels anything here."""
    while True:
        world.harm()
        world.restarts += 1
        world.server.restart()
        await trio.sleep(100)


async def wind_up(world: World, ending: str) -> None:
    """Bring everything to its end, and check that it was one."""
    server = world.server
    with trio.fail_after(LONG):
        server.clear_faults()
        server.queue.deaf_to_cancel, server.app.max_queue_size = False, None
        if ending == "wait":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(restart_again_and_again, world)
                for call in world.calls:
                    if call.surface is None and call.plan.end == "hang":
                        call.cancelled = call.cancelled or not call.job.done
                        call.job.cancel()
                    await call.job.wait()
                nursery.cancel_scope.cancel()
            await trio.sleep(120)
            await checks.check_no_slot_taken(world)
        for scope in reversed(world.scopes):
            if scope.over:
                continue
            if scope.kind == "client":
                # Its sessions are over, and the cancel requests will be.
                await trio.sleep(60)
                checks.check_heartbeats(world)
            if ending == "cancel" or (ending == "raise" and scope.leave.is_set()):
                world.cancel(scope, its_own=scope.thing is not None)
            elif ending in ("leave", "wait"):
                for call in world.calls:
                    if call.scope is scope and not call.job.done:
                        call.cancelled = True
                        call.job.cancel()
                world.leave(scope)
            else:
                world.leave(scope, raising=True)
            await scope.gone.wait()
    for plain in world.plain_calls:
        plain.scope.cancel()
        plain.bounded = True
    await trio.sleep(60)  # the slowest reader goes on to its end
    await checks.check_nothing_left(world)
    checks.check_all_over(world)
