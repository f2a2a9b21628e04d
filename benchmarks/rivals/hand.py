"""A task and a memory channel by hand: what `JobGroup.submit` is measured by."""

from __future__ import annotations

from typing import Any

import trio

from ._floor import in_trio
from ._measure import Meter, main


async def submit(calls: int) -> dict[str, Any]:
    """Run empty async functions as tasks, and take each one's result from a channel."""

    async def nothing() -> int:
        return 1

    async def send_result(channel: trio.MemorySendChannel[int]) -> None:
        await channel.send(await nothing())

    total = 0
    meter = Meter()
    async with trio.open_nursery() as nursery:
        receivers: list[trio.MemoryReceiveChannel[int]] = []
        for _ in range(calls):
            sender, receiver = trio.open_memory_channel[int](1)
            nursery.start_soon(send_result, sender)
            receivers.append(receiver)
        for receiver in receivers:
            total += await receiver.receive()
    return {**meter.stop(), "lost": calls - total}


if __name__ == "__main__":
    main({"submit": in_trio(submit)})
