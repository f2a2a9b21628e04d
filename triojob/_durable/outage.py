"""Handles an unreachable app: suspends the run until the app responds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio

from .._exceptions import RunStopped, TriojobError
from .._live._units import duration
from .failures import is_outage, kind_of

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 10.0
ASK_SECONDS = 10.0
"""The time limit for the app to describe itself."""


class Reachability:
    """Whether the app can be reached, for all rows of a run.

    Args:
        ask: Raises if the app does not describe itself.
        max_outage: The seconds without the app after which to stop.
        say: Receives a line for people.
        describe: Returns the text of an error.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        *,
        max_outage: float,
        say: Callable[[str], object],
        describe: Callable[[BaseException], str],
    ) -> None:
        self.since: str | None = None
        """The time of day at which the current outage began; None if there is none."""
        self._ask = ask
        self._max_outage = max_outage
        self._say = say
        self._describe = describe
        self._asking = trio.Lock()
        self._asked = self._outages = 0
        self._error: BaseException = TriojobError("")
        self._stopped: RunStopped | None = None

    async def ready(self) -> None:
        """Wait while the app is being checked, or unreachable."""
        if self._asking.locked():
            async with self._asking:
                pass

    async def confirm(self, error: BaseException) -> bool:
        """Check whether the app is unreachable, after a call failed with the error.

        If so, wait until it is back.  Concurrent rows share the check and the wait.

        Returns:
            Whether there was an outage.

        Raises:
            RunStopped: The app was unreachable for too long.
        """
        asked, outages = self._asked, self._outages
        async with self._asking:
            if self._stopped is not None:
                raise self._stopped
            if self._asked == asked:
                self._error = error
                if not await self._answers():
                    await self._wait()
                self._asked += 1
            return self._outages > outages

    async def _wait(self) -> None:
        began, pause = trio.current_time(), FIRST_PAUSE
        self.since = time.strftime("%H:%M:%S")
        error = self._describe(self._error)
        self._say(f"app unreachable since {self.since}, retrying: {error}")
        while True:
            left = began + self._max_outage - trio.current_time()
            if left <= 0:
                self._stopped = RunStopped(
                    f"stopped: the app has been unreachable since {self.since} (max_outage), "
                    f"most recently with {type(self._error).__name__}: "
                    f"{self._describe(self._error)}",
                    outcome=kind_of(self._error) or "connection",
                )
                raise self._stopped
            await trio.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
            if await self._answers():
                break
        self.since = None
        self._outages += 1
        self._say(f"app reachable again after {duration(trio.current_time() - began)}")

    async def _answers(self) -> bool:
        with trio.move_on_after(ASK_SECONDS) as scope:
            try:
                await self._ask()
            except TriojobError as exc:
                # An app that requires a login, or limits the rate, is reachable.
                if is_outage(exc):
                    self._error = exc
                    return False
        return not scope.cancelled_caught
