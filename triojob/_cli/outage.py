"""Handles an unreachable app in ``triojob map``: suspends the run until the app responds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio

from triojob import TriojobError

from .._live._units import duration
from .ending import CommandError, code_of, words_for
from .exit_codes import CONNECTION, TIMEOUT

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
        advice: Returns how to resume the run.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        *,
        max_outage: float,
        say: Callable[[str], object],
        advice: Callable[[], str],
    ) -> None:
        self.since: str | None = None
        """The time of day at which the current outage began; None if there is none."""
        self._ask = ask
        self._max_outage = max_outage
        self._say = say
        self._advice = advice
        self._asking = trio.Lock()
        self._asked = self._outages = 0
        self._error: BaseException = TriojobError("")

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
            CommandError: The app was unreachable for too long.
        """
        asked, outages = self._asked, self._outages
        async with self._asking:
            if self._asked == asked:
                self._error = error
                if not await self._answers():
                    await self._wait()
                self._asked += 1
            return self._outages > outages

    async def _wait(self) -> None:
        began, pause = trio.current_time(), FIRST_PAUSE
        self.since = time.strftime("%H:%M:%S")
        self._say(f"app unreachable since {self.since}, retrying: {words_for(self._error)}")
        while True:
            left = began + self._max_outage - trio.current_time()
            if left <= 0:
                raise CommandError(
                    f"stopped: the app has been unreachable since {self.since} (--max-outage), "
                    f"most recently with {type(self._error).__name__}: "
                    f"{words_for(self._error)}; "
                    f"{self._advice()}",
                    code_of(self._error) or CONNECTION,
                )
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


def is_outage(error: BaseException) -> bool:
    """Return whether the error of a call may mean that its app is unreachable."""
    return isinstance(error, TriojobError) and code_of(error) in (CONNECTION, TIMEOUT)
