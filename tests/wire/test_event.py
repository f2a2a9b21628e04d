"""One event's messages to what the job's channel carries, through a real sink."""

from __future__ import annotations

import copy
import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from outcome import Error, Value

from tests.wire.following import (
    EVENT,
    Followed,
    cancelled,
    completed,
    estimation,
    failed,
    follow,
    generating,
    log,
    progress,
    starts,
    streaming,
    unit,
)
from tests.wire.strategies import checked, json_values, successions
from triojob import (
    AppError,
    JobCancelled,
    LogMessage,
    ProgressUnit,
    ProtocolError,
    Status,
    StatusUpdate,
)
from triojob._core.messages import Finished
from triojob._core.sink import ChannelSink
from triojob.gradio.protocol.messages import MOST_DEPTH, Json, decode_message, is_deeper
from triojob.gradio.protocol.translator import EventTranslator
from triojob.testing._server.edits import edits_between

ITERATING = StatusUpdate(Status.ITERATING)
APPEND = [["append", [], "b"]]

# --- Each kind of message ---


@pytest.mark.parametrize(
    "message, carried",
    [
        (estimation(2, 5, 1.5), StatusUpdate(Status.IN_QUEUE, rank=2, queue_size=5, eta=1.5)),
        (estimation(None, 0), StatusUpdate(Status.IN_QUEUE, queue_size=0)),
        ({"msg": "estimation"}, StatusUpdate(Status.IN_QUEUE)),
        (starts(0.25), StatusUpdate(Status.PROCESSING, eta=0.25)),
        (starts(), StatusUpdate(Status.PROCESSING)),
        ({"msg": "process_starts"}, StatusUpdate(Status.PROCESSING)),
        (progress(), StatusUpdate(Status.PROGRESS, progress_data=[])),
        (
            progress(unit(progress=0.5, desc="half")),
            StatusUpdate(
                Status.PROGRESS, progress_data=[ProgressUnit(None, None, "steps", 0.5, "half")]
            ),
        ),
        (
            progress(unit(index=1, length=4, unit="files"), unit(index=2.5, length=3.5), {}),
            StatusUpdate(
                Status.PROGRESS,
                progress_data=[
                    ProgressUnit(1, 4, "files"),
                    ProgressUnit(2.5, 3.5),
                    ProgressUnit(None, None, None),
                ],
            ),
        ),
        (
            log("mind the gap", level="warning", title="Careful", duration=None, visible=False),
            LogMessage("mind the gap", "warning", title="Careful", duration=None, visible=False),
        ),
        (log("well", duration=2.5), LogMessage("well", "info", title="Info", duration=2.5)),
        ({"msg": "log", "log": "old servers say no more"}, LogMessage("old servers say no more")),
        ({"msg": "log"}, LogMessage("")),
    ],
)
def test_a_status_or_a_log(message: Json, carried: Any) -> None:
    assert follow([message]).carried == [carried]


def test_a_plain_function() -> None:
    followed = follow([estimation(), starts(), completed("Hello")])
    assert followed.carried == [
        StatusUpdate(Status.IN_QUEUE, rank=0, queue_size=1),
        StatusUpdate(Status.PROCESSING),
        ("output", "Hello"),
        "finished",
    ]
    assert followed.value == "Hello"
    assert not followed.cancelled


@pytest.mark.parametrize("data", [[], [None], [1, None], [{"a": [1]}], [False], [""], [[]]])
def test_plain_functions_have_one_output(data: list[Any]) -> None:
    followed = follow([completed(*data)])
    assert followed.outputs == [followed.value]
    assert followed.value == (data[0] if len(data) == 1 else tuple(data))


def test_a_generator() -> None:
    followed = follow(
        [
            estimation(),
            starts(),
            generating("a"),
            generating([]),
            progress(unit(progress=0.5)),
            log("note"),
            generating(APPEND),
            generating([["replace", [], "c"]]),
            completed("c"),
        ],
        streams=True,
    )
    assert followed.carried[2:] == [
        ITERATING,
        ("output", "a"),
        ("output", "a"),
        StatusUpdate(Status.PROGRESS, progress_data=[ProgressUnit(progress=0.5)]),
        LogMessage("note", title="Info", duration=10),
        ITERATING,
        ("output", "ab"),
        ("output", "c"),
        "finished",
    ]
    assert followed.value == "c"


def test_without_edits_each_output_comes_whole() -> None:
    messages = [generating("a"), generating([["append", [], "b"]]), completed("c")]
    followed = follow(messages, streams=True, edits=False)
    assert followed.outputs == ["a", [["append", [], "b"]], "c"]


def test_a_generator_that_yields_nothing() -> None:
    followed = follow([starts(), completed(None)], streams=True)
    assert followed.outputs == []
    assert followed.value is None


def test_two_outputs_are_rebuilt_apart() -> None:
    followed = follow(
        [
            generating("a", [1]),
            generating(APPEND, []),
            generating([], [["add", [1], 2]]),
            completed("ab", [1, 2]),
        ],
        streams=True,
    )
    assert followed.outputs == [("a", [1]), ("ab", [1]), ("ab", [1, 2])]
    assert followed.value == ("ab", [1, 2])


def test_the_media_streams_send_everything_whole() -> None:
    messages = [streaming("a"), streaming([["append", [], "b"]]), completed("c")]
    assert follow(messages, streams=True).outputs == ["a", [["append", [], "b"]], "c"]


def test_a_cached_generator_comes_without_a_queue() -> None:
    messages = [
        generating("a"),
        generating(APPEND),
        completed("ab", used_cache="full", cache_duration=0.001),
    ]
    followed = follow(messages, streams=True)
    assert followed.carried == [ITERATING, ("output", "a"), ("output", "ab"), "finished"]


def test_a_cached_function() -> None:
    followed = follow([completed("a", used_cache="full")])
    assert followed.carried == [("output", "a"), "finished"]


def test_surplus_output_starts_empty() -> None:
    """An app that is reloaded may change its outputs under a running stream."""
    messages = [
        generating("a"),
        generating(APPEND, [["replace", [], "new"]]),
        completed("ab", "new"),
    ]
    assert follow(messages, streams=True).outputs == ["a", ("ab", "new")]


def test_the_last_yield_is_not_yielded_again() -> None:
    assert follow([generating("a"), completed("a")], streams=True).outputs == ["a"]


def test_completion_that_differs_is_one_more_output() -> None:
    followed = follow([generating("a"), completed("b")], streams=True)
    assert followed.outputs == ["a", "b"]
    assert followed.value == "b"


def test_contradictory_completion_still_ends_it() -> None:
    """A media stream whose time is over: its last response is the completion."""
    last = completed("b")
    last["output"]["is_generating"] = True
    assert follow([streaming("a"), last], streams=True).value == "b"


def test_a_batch_of_one() -> None:
    last = completed("A")
    last["output"]["is_generating"] = None
    assert follow([starts(), last]).value == "A"


def test_an_old_server_says_less() -> None:
    """Servers of the first protocols leave most of it out."""
    messages: list[Json] = [
        {"msg": "process_generating", "output": {"data": ["a"]}},
        {"msg": "process_completed", "output": {"data": ["b"]}},
    ]
    followed = follow(messages, streams=True, edits=False)
    assert followed.outputs == ["a", "b"]
    assert followed.value == "b"


# --- Edits that don't fit ---

DESYNCHRONISED: list[Any] = [
    [["delete", [5], None]],
    [["append", [], 1]],
    [["move", [0], 1]],
    "nonsense",
    None,
    3,
    {"a": 1},
    ["abc"],
    [["replace", [-1], 0]],
]


@pytest.mark.parametrize("edits", DESYNCHRONISED)
def test_completion_has_value_after_misfit(edits: Any) -> None:
    messages = [
        generating([1]),
        generating(edits),
        generating([["add", [1], 2]]),
        completed([1, 2]),
    ]
    followed = follow(messages, streams=True)
    assert followed.outputs == [[1], [1, 2]]
    assert followed.value == [1, 2]


def test_too_few_edit_lists_misfit() -> None:
    followed = follow([generating("a", "b"), generating([]), completed("a", "b")], streams=True)
    assert followed.outputs == [("a", "b"), ("a", "b")]


def test_same_value_repeats_after_misfit() -> None:
    """What was missed in between is not known, so the completion is news."""
    followed = follow([generating("a"), generating(None), completed("a")], streams=True)
    assert followed.outputs == ["a", "a"]


@pytest.mark.parametrize(
    "old, new",
    [
        ([[1, 2], [3, 4, 5], 6, 7], [[1], [3]]),
        ([[1, 2, 3]], [[1]]),
        ([["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]], [["a"], ["d"]]),
    ],
)
def test_completion_repairs_miscounted_deletions(old: Any, new: Any) -> None:
    messages = [generating(old), generating(edits_between(old, new)), completed(new)]
    followed = follow(messages, streams=True)
    assert followed.outputs[0] == old
    assert followed.outputs[-1] == followed.value == new
    assert len(followed.outputs) in (2, 3)


@checked
@given(successions())
def test_streams_end_with_the_last_yield(values: list[Any]) -> None:
    pairs = itertools.pairwise(values)
    messages = [
        generating(values[0]),
        *(generating(edits_between(old, new)) for old, new in pairs),
        completed(values[-1]),
    ]
    before = copy.deepcopy(messages)
    followed = follow(messages, streams=True)
    assert followed.outputs[0] == values[0]
    assert followed.outputs[-1] == followed.value == values[-1]
    assert messages == before


def test_outputs_share_unchanged_parts() -> None:
    first: list[Any] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]
    edits = [["append", [1, "content"], "x"]]
    followed = follow([generating(first), generating(edits), generating(edits)], streams=True)
    assert [output[1]["content"] for output in followed.outputs] == ["", "x", "xx"]
    assert followed.outputs[0][0] is followed.outputs[1][0] is followed.outputs[2][0]


# --- Ends ---


def error_of(message: Json, name: str = "/app") -> AppError:
    error = follow([message], name=name).error
    assert type(error) is AppError
    return error


def test_an_error_that_the_app_shows() -> None:
    error = error_of(
        failed({"error": "boom", "title": "Oops", "duration": 3.5, "visible": False}, title="Oops")
    )
    assert str(error) == error.message == "boom"
    assert (error.title, error.duration, error.visible) == ("Oops", 3.5, False)
    assert error.endpoint == "/app"


def test_an_error_of_a_foreign_exception() -> None:
    error = error_of(failed({"error": "kaput", "visible": True}))
    assert (error.message, error.title, error.duration, error.visible) == (
        "kaput",
        None,
        None,
        True,
    )


def test_error_whose_title_is_in_message_only() -> None:
    assert error_of(failed({"error": "boom"}, title="Oops")).title == "Oops"


def test_an_error_that_the_app_hides() -> None:
    error = error_of(failed({"error": None}), "/greet")
    assert error.message is None
    assert "/greet" in str(error)
    assert "show_error=True" in str(error)


def test_either_sign_makes_an_error() -> None:
    assert error_of(completed(output={"error": "boom"})).message == "boom"
    assert error_of(failed({})).message is None
    assert error_of(failed({"data": ["x"]})).message is None
    without_success = completed(output={"error": "boom"})
    del without_success["success"]
    assert error_of(without_success).message == "boom"


@pytest.mark.parametrize("error", [["boom", 1], {"a": "boom"}, 3, False])
def test_other_errors_are_shown_as_json(error: Any) -> None:
    assert error_of(failed({"error": error})).message == json.dumps(error)


@pytest.mark.parametrize("bad", ["10", True, [], {}])
def test_odd_duration_hides_no_error(bad: Any) -> None:
    """`duration` is for the app's page: `gr.Error(duration=...)` lets anything through."""
    assert error_of(failed({"error": "boom", "duration": bad})).message == "boom"


def test_an_error_after_the_first_yield() -> None:
    last = failed({"error": "midway", "title": "Half", "duration": 4}, cache_duration=4)
    followed = follow([generating("one"), generating([]), last], streams=True)
    assert followed.carried == [ITERATING, ("output", "one"), ("output", "one"), "finished"]
    assert isinstance(followed.error, AppError)
    assert followed.error.title == "Half"
    assert not followed.cancelled


def test_a_step_that_failed_is_no_output() -> None:
    messages = [
        generating("one"),
        generating(output={"error": "boom"}, success=False),
        generating("two", success=False),
        failed({"error": "boom"}),
    ]
    followed = follow(messages, streams=True)
    assert followed.outputs == ["one"]
    assert isinstance(followed.error, AppError)


def test_cancelled_by_the_server() -> None:
    followed = follow([starts(), generating("a"), cancelled()], streams=True)
    assert followed.outputs == ["a"]
    assert isinstance(followed.error, JobCancelled)
    assert followed.cancelled


def test_cancelled_before_it_ran() -> None:
    followed = follow([estimation(), cancelled()])
    assert followed.outputs == []
    assert isinstance(followed.error, JobCancelled)
    assert followed.cancelled
    assert "/app" in str(followed.error)


def test_what_comes_after_the_end_is_ignored() -> None:
    late = [
        completed("late"),
        failed({"error": "late"}),
        cancelled(),
        generating("late"),
        estimation(),
        log("late"),
        {"msg": "process_completed"},
        {"msg": "progress"},
    ]
    for end in (completed("a"), failed({"error": "boom"}), cancelled()):
        assert follow([end, *late]).carried == follow([end]).carried


def test_unknown_messages_are_ignored() -> None:
    unknown: list[Json] = [
        {"msg": "process_meditates", "output": 3},
        {"msg": ""},
        {"msg": "x" * 10_000},
    ]
    assert follow([*unknown, completed("a"), *unknown]).carried == [("output", "a"), "finished"]


def test_unknown_fields_are_ignored() -> None:
    last = completed("a", mood="good")
    last["output"]["mood"] = "good"
    assert follow([{**estimation(), "mood": 1}, last]).value == "a"


def test_failing_from_outside() -> None:
    sink = ChannelSink()
    translator = EventTranslator("/app", streams=False, edits=True, present=list, sink=sink)
    assert not translator.started
    translator.feed(estimation())
    assert translator.started
    error = ProtocolError("lost")
    translator.fail(error)
    translator.fail(ProtocolError("again"))
    translator.feed(completed("late"))
    _, last = sink.close()
    assert isinstance(last, Finished)
    assert isinstance(last.outcome, Error)
    assert last.outcome.error is error


def test_unfollowed_job_drops_messages() -> None:
    sink = ChannelSink()
    translator = EventTranslator("/app", streams=True, edits=True, present=list, sink=sink)
    assert sink.close() == []
    for message in (estimation(), generating("a"), generating(APPEND), log("x"), completed("ab")):
        translator.feed(message)
    assert translator.finished
    assert sink.close() == []


# --- What can't be ---


def check_protocol_error(followed: Followed) -> str:
    error = followed.error
    assert isinstance(error, ProtocolError), repr(error)
    assert not followed.cancelled
    assert len(str(error)) < 600
    return str(error)


BROKEN: dict[str, Json] = {
    "rank": estimation("first"),
    "queue_size": estimation(0, [1]),
    "rank_eta": estimation(0, 1, {}),
    "a boolean rank": estimation(True),
    "eta": starts("soon"),
    "no progress_data": {"msg": "progress"},
    "null progress_data": {"msg": "progress", "progress_data": None},
    "text as progress_data": {"msg": "progress", "progress_data": "half"},
    "an object as progress_data": {"msg": "progress", "progress_data": {}},
    "null as a unit": progress(None),
    "a number as a unit": progress(0.5),
    "index": progress(unit(index="1")),
    "length": progress(unit(length=[])),
    "progress": progress(unit(progress="50 %")),
    "no output while generating": {"msg": "process_generating"},
    "null output while generating": generating(output=None),
    "a list as output while generating": generating(output=["a"]),
    "text as data while generating": generating(output={"data": "a"}),
    "an object as data while generating": generating(output={"data": {"0": "a"}}),
    "no output while streaming": {"msg": "process_streaming"},
    "text as data while streaming": streaming(output={"data": "a"}),
    "no output": {"msg": "process_completed", "success": True},
    "null output": completed(output=None),
    "a list as output": completed(output=[1]),
    "text as output": completed(output="a"),
    "no output of an error": {"msg": "process_completed", "success": False},
    "text as data": completed(output={"data": "a"}),
    "an object as data": completed(output={"data": {}}),
    "a number as data": completed(output={"data": 0}),
    "no data": completed(output={"is_generating": False}),
    "null data": completed(output={"data": None}),
}


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN)
def test_impossible_messages_end_the_event(message: Json) -> None:
    followed = follow([message, completed("late")], streams=True)
    check_protocol_error(followed)
    assert followed.carried == ["finished"]


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN)
def test_the_error_shows_the_message_cut_short(message: Json) -> None:
    large = {"huge": "x" * 100_000, **message, "more": "x" * 100_000}
    check_protocol_error(follow([large], streams=True))


@pytest.mark.parametrize("message", [generating("a"), completed("a"), streaming("a")])
def test_what_cannot_be_presented_ends_the_event(message: Json) -> None:
    def present(data: list[Any]) -> Any:
        raise ProtocolError("too few")

    followed = follow([message, completed("late")], streams=True, present=present)
    assert check_protocol_error(followed) == "/app: too few"
    assert followed.outputs == []


def each_change(message: Json, junk: Any) -> list[Json]:
    """Make a copy of a message for each of its fields, with that field replaced."""
    changed = [{**message, key: junk} for key in message if key != "msg"]
    changed += [{k: v for k, v in message.items() if k != key} for key in message if key != "msg"]
    if isinstance(output := message.get("output"), dict):
        changed += [{**message, "output": {**output, key: junk}} for key in output]
    return changed


JUNK: list[Any] = [None, True, -1, 2**70, 1.5, "", "x", [], [None], [[]], {}, {"a": 1}]
GOOD = [
    estimation(1, 2, 3),
    starts(1),
    progress(unit(index=1)),
    log("x"),
    generating("a", ["b"]),
    streaming("a"),
    completed("a", "b"),
    failed({"error": "boom", "title": "a", "duration": 1, "visible": True}),
    cancelled(),
]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("message", GOOD, ids=[message["msg"] for message in GOOD])
def test_fields_raise_only_protocol_errors(message: Json, junk: Any) -> None:
    for changed in each_change(message, junk):
        for before in ([], [generating("a", "b")]):
            followed = follow([*before, changed], streams=True)
            for end in followed.finished:
                if isinstance(end.outcome, Error):
                    assert isinstance(end.outcome.error, (ProtocolError, AppError, JobCancelled))


message_kinds = st.sampled_from([message["msg"] for message in GOOD])
any_output = json_values | st.fixed_dictionaries(
    {
        "data": json_values | st.lists(json_values, max_size=3),
    }
)
any_message = st.fixed_dictionaries(
    {"msg": message_kinds},
    optional={
        "output": any_output,
        "success": json_values,
        "progress_data": json_values,
        "rank": json_values,
        "eta": json_values,
        "log": json_values,
        "level": json_values,
        "title": json_values,
    },
)


@settings(checked, max_examples=100)
@given(st.lists(any_message, max_size=5), st.booleans(), st.booleans())
def test_any_messages_give_one_end_at_most(messages, streams, edits):
    before = copy.deepcopy(messages)
    followed = follow(messages, streams=streams, edits=edits)
    assert messages == before
    assert len(followed.finished) <= 1
    if followed.finished:
        assert followed.carried[-1] == "finished"
        end = followed.finished[0].outcome
        if isinstance(end, Error):
            assert isinstance(end.error, (ProtocolError, AppError, JobCancelled))


NESTED: dict[str, Callable[[str], list[str]]] = {
    "a bad number": lambda deep: [f'{{"msg":"estimation","rank":{deep}}}'],
    "a bad progress": lambda deep: [f'{{"msg":"progress","progress_data":{deep}}}'],
    "a bad output": lambda deep: [f'{{"msg":"process_completed","output":{deep}}}'],
    "no data": lambda deep: [f'{{"msg":"process_completed","output":{{"x":{deep}}}}}'],
    "bad data": lambda deep: [f'{{"msg":"process_completed","output":{{"data":{{"x":{deep}}}}}}}'],
    "an error": lambda deep: [f'{{"msg":"process_completed","output":{{"error":{deep}}}}}'],
    "a value": lambda deep: [f'{{"msg":"process_completed","output":{{"data":[{deep}]}}}}'],
    "a repeated value": lambda deep: [
        f'{{"msg":"process_generating","output":{{"data":[{deep}]}}}}',
        f'{{"msg":"process_completed","output":{{"data":[{deep}]}}}}',
    ],
    "a bad action": lambda deep: [
        '{"msg":"process_generating","output":{"data":[[1]]}}',
        f'{{"msg":"process_generating","output":{{"data":[[[{deep},[0],1]]]}}}}',
    ],
    "a bad key": lambda deep: [
        '{"msg":"process_generating","output":{"data":[[1]]}}',
        f'{{"msg":"process_generating","output":{{"data":[[["add",[{deep}],1]]]}}}}',
    ],
}


@pytest.mark.parametrize("make", NESTED.values(), ids=NESTED)
def test_nesting_raises_only_protocol_errors(make):
    limit = sys.getrecursionlimit()
    for depth in (*range(MOST_DEPTH - 8, MOST_DEPTH + 2), limit - 250, limit, 20 * limit):
        messages = []
        try:
            for text in make("[" * depth + "]" * depth):
                messages.append(decode_message(text.encode()))
        except ProtocolError:
            continue
        followed = follow(messages, streams=True)
        for end in followed.finished:
            assert isinstance(end.outcome, Value) or isinstance(
                end.outcome.error, (ProtocolError, AppError)
            )


def test_edits_nest_no_value_deeper_than_message() -> None:
    """Each message puts some more levels into the last, until there are too many."""
    messages = [generating([])]
    for start in range(0, 3000, 50):
        deep = json.loads("[" * 50 + "]" * 50)
        messages.append(generating([["add", [0] * (start + 1), deep]]))
    messages.append(completed([[]]))
    followed = follow(messages, streams=True)
    assert followed.value == [[]]
    assert not any(is_deeper(output, MOST_DEPTH) for output in followed.outputs)
    assert len(followed.outputs) == 2 + MOST_DEPTH // 50


def test_event_id_is_not_translators_business() -> None:
    assert follow([{**completed("a"), "event_id": None}]).value == "a"
    assert follow([{**completed("a"), "event_id": EVENT}]).value == "a"
