"""The fault proxy of the soak, in a process of its own: some requests in a hundred meet a fault.

Run as ``python -m qa.soak.proxy PORT PERCENT``: it prints ``READY <port>``, and once its
stdin is closed how often each fault happened, as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from collections import Counter
from functools import partial

import trio

from qa.reliability.faults import PAGE, REFUSALS, reply
from qa.reliability.harm import Fault, Plan
from qa.reliability.proxy import Proxy
from qa.reliability.reading import Head

FAULTS: list[tuple[float, Fault]] = [
    (10, Fault("latency", delay=0.05)),
    (10, Fault("jitter", jitter=0.01)),
    (5, Fault("drip", piece=11, jitter=0.0005)),
    (10, Fault("never arrives", heard=False)),
    (10, Fault("reset before the answer", cut=0)),
    (5, Fault("reset in the head", cut=20)),
    (10, Fault("reset in the body", cut=180)),
    (5, Fault("ended before the answer", cut=0, end="end")),
    (10, Fault("ended in the body", cut=180, end="end")),
    (0.5, Fault("silence", cut=0, end="silence")),
    (0.5, Fault("silence in the middle", cut=180, end="silence")),
    *((2.0, Fault(name, reply=answer)) for name, answer in REFUSALS.items()),
    (3, Fault("queue full", reply=reply(503, '{"detail":"Queue is full. Max size is 9"}'))),
    (3, Fault("invalid", reply=reply(422, '{"detail":[{"is_valid":false,"message":"no"}]}'))),
    (5, Fault("a page", reply=reply(200, PAGE, kind="text/html"))),
]
MESSAGES: list[tuple[float, Fault]] = [
    (10, Fault("a message doubled", frames="doubled")),
    (10, Fault("two messages swapped", frames="swapped")),
    (5, Fault("session lost", elsewhere=True)),
]


class Chance:
    """Chooses what a request meets.

    Args:
        share: How many requests of all meet a fault, as a number between 0 and 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.requests = 0
        self.counts: Counter[str] = Counter()
        self._dice = random.Random(2026)

    def __call__(self, head: Head) -> Plan | None:
        """Return what happens to this request."""
        self.requests += 1
        # The client that is under test has to get in first.
        if self._dice.random() >= self.share or head.path in {"/config", "/gradio_api/info"}:
            return None
        listens = head.path.endswith("/queue/data")
        table = [*FAULTS, *MESSAGES] if listens else FAULTS
        [(_, fault)] = self._dice.choices(table, [weight for weight, _ in table])
        self.counts[fault.name] += 1
        of_messages = fault.frames or fault.elsewhere
        return Plan(fault, _always, message="any" if of_messages else "", count=2)


def _always(_head: Head) -> bool:
    return True


async def main() -> None:
    chance = Chance(float(sys.argv[2]) / 100)
    proxy = Proxy(int(sys.argv[1]), chance)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(proxy.serve))
        print("READY", proxy.port, flush=True)
        gc.freeze()
        await trio.to_thread.run_sync(partial(os.read, 0, 1))
        nursery.cancel_scope.cancel()
    print(json.dumps({"requests": chance.requests, "faults": chance.counts}), flush=True)


if __name__ == "__main__":
    trio.run(main)
