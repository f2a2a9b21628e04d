"""Which recorded call a call plays; and the difference if there is none."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..._secrets import MASK
from ...gradio.protocol.messages import Json, is_list, is_object
from .errors import CallNotRecorded
from .recording import RecordedCall

_MOST_COMPARED = 5_000
"""Characters of a request in which calls are compared, to find the nearest one."""
_MOST_SHOWN = 60
"""Lines of a difference."""


class Matcher:
    """The calls of a recording that are not played yet.

    Calls with equal arguments play in the order of their recording.
    Calls with State play the calls of one recorded session for each session.

    Args:
        name: The recording's name, for messages.
        repeats: Whether the last of equal calls plays any number of times.
    """

    def __init__(self, name: str, calls: Sequence[RecordedCall], *, repeats: bool) -> None:
        self._name = name
        self._calls = calls
        self._repeats = repeats
        self._left = list(calls)
        self._sessions: dict[str, int] = {}
        """The recorded session of each session."""

    @property
    def left(self) -> list[RecordedCall]:
        """The calls that were not played."""
        return self._left

    def take(self, endpoint: str, request: Json, session: str) -> RecordedCall:
        """Return the call to play.

        Args:
            session: The hash of the session.

        Raises:
            CallNotRecorded: There is none.
        """
        call = self._next(self._left, endpoint, request, session)
        if call is not None:
            # By identity: calls can be equal.
            self._left = [other for other in self._left if other is not call]
        elif self._repeats:
            call = self._next(self._calls[::-1], endpoint, request, session)
        if call is None:
            raise CallNotRecorded(self._difference(endpoint, request))
        if call.session is not None:
            self._sessions[session] = call.session
        return call

    def _next(
        self, calls: Sequence[RecordedCall], endpoint: str, request: Json, session: str
    ) -> RecordedCall | None:
        own = self._sessions.get(session)
        others = set(self._sessions.values())
        fitting = [
            call
            for call in calls
            if call.endpoint == endpoint
            and _fits(call.request, request)
            and (
                call.session is None
                or call.session == own
                or (own is None and call.session not in others)
            )
        ]
        # A mask fits the arguments of other recorded calls, too.
        equal = (call for call in fitting if call.request == request)
        return next(equal, fitting[0] if fitting else None)

    def _difference(self, endpoint: str, request: Json) -> str:
        known = [call for call in self._calls if call.endpoint == endpoint]
        if not known:
            counts = Counter(call.endpoint for call in self._calls)
            there = ", ".join(f"{count} of {name}" for name, count in counts.items())
            return f"{self._name} has no calls of {endpoint}; it has {there or 'no calls at all'}"
        equal = [call for call in known if _fits(call.request, request)]
        if equal:
            of = " in this session" if equal[0].session is not None else ""
            return (
                f"{endpoint} was called with {_text(request, indent=None)} more often{of} than "
                f"the {len(equal)} times in {self._name}; record again, or use repeats=True"
            )
        text = _text(request)
        nearest = max(known, key=lambda call: _likeness(_text(call.request), text))
        lines = difflib.unified_diff(
            _text(nearest.request).splitlines(),
            text.splitlines(),
            "recorded",
            "called",
            n=1_000,
            lineterm="",
        )
        # Without the line of line numbers.
        shown = [line for line in lines if not line.startswith("@@")][:_MOST_SHOWN]
        number = known.index(nearest) + 1
        problem = (
            f"{self._name} has no call of {endpoint} with these arguments; "
            f"the nearest one is number {number} of {len(known)}:"
        )
        return "\n".join([problem, *shown])


def _text(request: Json, indent: int | None = 2) -> str:
    # The other parts of a request are rare.
    shown = request["arguments"] if len(request) == 1 else request
    return json.dumps(shown, indent=indent, ensure_ascii=False)


def _likeness(text: str, other: str) -> float:
    matcher = difflib.SequenceMatcher(None, text[:_MOST_COMPARED], other[:_MOST_COMPARED])
    return matcher.quick_ratio()


def _fits(recorded: Any, given: Any) -> bool:
    """Return whether a value is the recorded one; a mask in that stands for any text."""
    if isinstance(recorded, str) and MASK in recorded:
        return isinstance(given, str) and _fits_masked(recorded.split(MASK), given)
    if is_object(recorded):
        return (
            is_object(given)
            and recorded.keys() == given.keys()
            and all(_fits(value, given[key]) for key, value in recorded.items())
        )
    if is_list(recorded):
        return (
            is_list(given)
            and len(recorded) == len(given)
            and all(_fits(value, other) for value, other in zip(recorded, given, strict=True))
        )
    return bool(recorded == given)


def _fits_masked(parts: list[str], given: str) -> bool:
    """Return whether a text has these parts in this order, with any text between them."""
    first, *middle, last = parts
    place, end = len(first), len(given) - len(last)
    if place > end or not (given.startswith(first) and given.endswith(last)):
        return False
    for part in middle:
        place = given.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True
