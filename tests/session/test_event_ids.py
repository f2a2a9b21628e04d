"""Which call each event of a session is, whichever responses to joins come late or never."""

from __future__ import annotations

from typing import cast

import pytest

from triojob.gradio.session.event_ids import EventIds
from triojob.gradio.session.pending_call import PendingCall

KINDS = {"rank": "estimation", "start": "process_starts", "end": "process_completed"}


class Story:
    """Tells what happens in a session, word by word.

    ``a?`` sends a join, ``a=1`` is its response, ``a-`` a refusal, ``a!`` the loss of the response;
    ``1:rank``, ``1:start`` and ``1:end`` are messages, ``1.`` is the end of an event on this side.
    """

    def __init__(self) -> None:
        self.ids = EventIds()
        self.found: dict[str, str] = {}
        self.early: dict[str, int] = {}

    def tell(self, words: str) -> Story:
        for word in words.split():
            if ":" in word:
                event_id, _, kind = word.partition(":")
                if event_id not in self.ids.calls:
                    self.ids.keep(event_id, {"msg": KINDS[kind], "event_id": event_id})
            elif word.endswith("."):
                self.ids.end(word[0], end_received=False)
            else:
                self._join(cast("PendingCall", word[0]), word[1:])
            while (found := self.ids.find()) is not None:
                self._name(*found)
        return self

    def _join(self, call: PendingCall, what: str) -> None:
        if what == "?":
            self.ids.note_join_sent(call)
        elif what == "!":
            self.ids.note_join_lost(call)
        elif what == "-":
            self.ids.forget_join(call)
        else:
            self._name(call, what[1:])

    def _name(self, call: PendingCall, event_id: str) -> None:
        name = cast("str", call)
        self.early[name] = len(self.ids.joined(call, event_id))
        self.found[name] = event_id


@pytest.mark.parametrize(
    "words, found",
    [
        # The response says it, before the stream or after.
        ("a? a=1 1:rank", "a1"),
        ("a? 1:rank a=1", "a1"),
        # The stream alone says it, before the loss is known or after.
        ("a? a! 1:rank", "a1"),
        ("a? 1:rank 1:start a!", "a1"),
        # What a join in flight may have made is not yet the lost one's.
        ("a? b? a! 1:rank", ""),
        ("a? b? a! 1:rank b=1", "b1"),
        ("a? b? a! 1:rank b=2", "a1 b2"),
        ("a? b? a! 1:rank b-", "a1"),
        ("a? b? 1:rank 2:rank a! b=2", "a1 b2"),
        # A join that was sent later can't have made it.
        ("a? a! 1:rank b? b! 2:rank", "a1 b2"),
        ("a? 1:rank b? a!", "a1"),
        ("a? 1:rank a- b? b! 2:rank", "b2"),
        ("z? 1:rank a? z- a!", ""),
        ("z? 1:rank a? a! z-", ""),
        # Several: in the order of the stream.
        ("a? b? 2:rank 1:rank b! a!", "a1 b2"),
        ("a? b? a! b! 1:rank 2:rank", "a1 b2"),
        # What comes late of an event that has ended is of no other call.
        ("a? a=1 1:rank 1. b? b! 1:start 1:end 2:rank", "a1 b2"),
        ("a? a=1 1. b? b! 1:rank 1:end", "a1"),
        ("a? a=1 1. 1:end b? b! 1:start 1:end", "a1"),
    ],
)
def test_which_call_an_event_is(words: str, found: str) -> None:
    story = Story().tell(words)
    assert story.found == {each[0]: each[1] for each in found.split()}


def test_messages_before_the_id_are_kept() -> None:
    story = Story().tell("a? b? 1:rank 1:start 2:rank a=2 b!")
    assert story.early == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "words, needed, seeking, pending",
    [
        ("", False, False, False),
        ("a?", False, False, True),
        ("a? a=1", True, False, True),
        ("a? a!", True, True, False),
        # If the stream broke, the join in flight would be lost as well.
        ("a? b? a!", False, True, True),
        ("a? b? a! b=1", True, False, True),
        ("a? b? a! b-", True, True, False),
        ("a? a! a-", False, False, False),
    ],
)
def test_when_the_stream_is_read(words: str, needed: bool, seeking: bool, pending: bool) -> None:
    ids = Story().tell(words).ids
    assert (ids.needs_stream, ids.seeking, ids.may_be_pending) == (needed, seeking, pending)


def test_joining_calls_have_received_no_response() -> None:
    assert Story().tell("a? b? c? d? b=1 c! 2:rank d-").ids.joining_calls == ("a",)


def test_nothing_is_kept_that_nobody_waits_for() -> None:
    ids = EventIds()
    ids.keep("1", {"msg": "estimation", "event_id": "1"})
    assert not ids._early
    story = Story().tell("a? 2:rank a=3 4:rank 5.")
    assert not story.ids._early
    assert not story.ids._ended
    # An event that has ended here is known until the stream has told of its end too.
    story.tell("3. 3:start")
    assert story.ids._ended == {"3"}
    story.tell("3:end")
    assert not story.ids._ended
    story.tell("b? b=6 6.").ids.stream_ended()
    assert not story.ids._ended


def test_clearing_forgets_all() -> None:
    ids = Story().tell("a? a=1 b? b=2 2. c? c! d?").ids
    assert ids.clear() == ["a"]
    assert not ids.may_be_pending
    assert not ids.lost
    assert not ids._ended
