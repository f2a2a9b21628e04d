"""The sessions of a synchronous client, each of which ends after its last call.

Any thread can get a session for a call at any time, without locks: see `_atomic`.
"""

from __future__ import annotations

from typing import final

from ..gradio.endpoint import Endpoint
from ..gradio.session.session import Session
from ._atomic import WeakBag


@final
class LeasedSession:
    """One session, and the calls that use it."""

    __slots__ = ("endpoints", "leases", "retired", "session")

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.endpoints: dict[tuple[str | None, int], Endpoint] = {}
        self.leases: WeakBag[SessionLease] = WeakBag()
        self.retired: bool = False
        """Whether it takes no further calls: the Trio thread ends it, or checks whether to."""


@final
class SessionLease:
    """Keeps a session for one call, until it is released or garbage-collected."""

    __slots__ = ("__weakref__", "leased")

    def __init__(self, leased: LeasedSession) -> None:
        self.leased: LeasedSession = leased


@final
class Sessions:
    """The sessions of one client."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: list[LeasedSession] = []
        """The last session is for new calls; the others remain until their calls have ended."""

    # From any thread.

    @property
    def current(self) -> Session:
        """The session for new calls."""
        return self._sessions[-1].session

    def add(self, session: Session) -> None:
        """Use ``session`` for new calls."""
        self._sessions.append(LeasedSession(session))

    def acquire(self) -> SessionLease:
        """Return a lease of the session for new calls."""
        while True:
            lease = SessionLease(self._sessions[-1])
            lease.leased.leases.add(lease)
            if not lease.leased.retired:
                return lease

    # In the Trio thread only.

    def release(self, lease: SessionLease) -> None:
        """End a call's use of its session."""
        lease.leased.leases.discard(lease)
        self.end_unused()

    def end_unused(self) -> None:
        """End the sessions that no call uses or will use."""
        for each in self._sessions[:-1]:
            each.retired = True  # before the check, because a new call reads this last
            if each.leases:
                each.retired = False
            else:
                self._sessions.remove(each)
                each.session.end()

    def end_all(self) -> None:
        """End all sessions, at the end of the client."""
        for each in tuple(self._sessions):
            each.session.end()
