"""What programs and people see of both libraries: signatures, descriptions, names, printing."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from enum import Enum
from typing import Any

import gradio_client
import gradio_client.client
import gradio_client.exceptions
import gradio_client.utils
import pytest

import triojob.sync
import triojob.sync.client
import triojob.sync.exceptions
import triojob.sync.utils
from qa.differential.support import Pair

Theirs, Ours = gradio_client.Client, triojob.sync.Client

# Parameters whose default is another one: by function, theirs and ours.
OTHER_DEFAULTS = {
    ("Client", "verbose"): (True, False),
    ("duplicate", "verbose"): (True, False),
    # Theirs is the folder of GRADIO_TEMP_DIR or one for all users; True stands for that or better.
    ("Client", "download_files"): (gradio_client.client.DEFAULT_TEMP_DIR, True),
}


@pytest.mark.parametrize(
    "name, theirs, ours",
    [
        ("Client", Theirs, Ours),
        ("submit", Theirs.submit, Ours.submit),
        ("predict", Theirs.predict, Ours.predict),
        ("view_api", Theirs.view_api, Ours.view_api),
        ("reset_session", Theirs.reset_session, Ours.reset_session),
        ("close", Theirs.close, Ours.close),
        ("duplicate", Theirs.duplicate, Ours.duplicate),
        ("handle_file", gradio_client.handle_file, triojob.sync.handle_file),
        ("file", gradio_client.file, triojob.sync.file),
        ("result", gradio_client.client.Job.result, triojob.sync.Job.result),
        ("exception", gradio_client.client.Job.exception, triojob.sync.Job.exception),
        ("outputs", gradio_client.client.Job.outputs, triojob.sync.Job.outputs),
        ("status", gradio_client.client.Job.status, triojob.sync.Job.status),
        ("cancel", gradio_client.client.Job.cancel, triojob.sync.Job.cancel),
        ("done", gradio_client.client.Job.done, triojob.sync.Job.done),
        ("add_done_callback", gradio_client.client.Job.add_done_callback,
         triojob.sync.Job.add_done_callback),
        ("AppError", gradio_client.exceptions.AppError, triojob.sync.AppError),
    ],
)  # fmt: skip
def test_signatures(name: str, theirs: Any, ours: Any) -> None:
    reference = public_parameters(theirs)
    mine = public_parameters(ours)
    # In their order, with their kinds; ours may have more, by name or at the end.
    assert [key for key in mine if key in reference] == list(reference)
    for key, parameter in reference.items():
        expected, found = parameter.default, mine[key].default
        if (name, key) in OTHER_DEFAULTS:
            assert (expected, found) == OTHER_DEFAULTS[name, key]
        else:
            assert found == expected, key
        assert mine[key].kind is parameter.kind, key
    for key, parameter in mine.items():
        if key not in reference:
            assert parameter.default is not inspect.Parameter.empty, key
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY or name == "cancel"


def public_parameters(function: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {key: value for key, value in parameters.items() if not key.startswith("_")}


def test_fields_of_messages_in_their_order() -> None:
    for name in ("StatusUpdate", "OutputUpdate", "ProgressUnit"):
        theirs = dataclasses.fields(getattr(gradio_client.utils, name))
        ours = dataclasses.fields(getattr(triojob.sync, name))
        assert [field.name for field in ours] == [field.name for field in theirs], name
        for mine, other in zip(ours, theirs, strict=True):
            if other.default is not dataclasses.MISSING:
                assert mine.default == other.default


def test_status_codes_and_their_order() -> None:
    theirs, ours = gradio_client.utils.Status, triojob.sync.Status
    assert {code.name: code.value for code in ours} == {code.name: code.value for code in theirs}

    def ordered(codes: Any) -> list[str]:
        # Theirs has no place for a log, and says so by a ValueError.
        return [code.name for code in sorted(code for code in codes if code.name != "LOG")]

    assert ordered(ours) == ordered(theirs)
    for kind in (theirs, ours):
        assert issubclass(kind, Enum)
        assert kind.STARTING < kind.IN_QUEUE < kind.PROCESSING < kind.FINISHED
        assert kind("FINISHED") is kind.FINISHED
        assert functools.reduce(max, [kind.PROGRESS, kind.ITERATING]) is kind.ITERATING


def test_names_are_where_programs_import_them_from() -> None:
    places = {
        gradio_client: (triojob.sync, ["Client", "file", "handle_file"]),
        gradio_client.client: (triojob.sync.client, ["Client", "Job"]),
        gradio_client.exceptions: (
            triojob.sync.exceptions,
            ["AppError", "AuthenticationError", "ValidationError"],
        ),
        gradio_client.utils: (
            triojob.sync.utils,
            ["Status", "StatusUpdate", "OutputUpdate", "ProgressUnit", "QueueError",
             "TooManyRequestsError"],
        ),
    }  # fmt: skip
    for theirs, (ours, names) in places.items():
        for name in names:
            assert hasattr(theirs, name)
            assert hasattr(ours, name)


def test_error_made_by_hand() -> None:
    for args in ((), ("m",), ("m", None), ("m", 3, False), ("m", 3, False, "t", False)):
        theirs, ours = gradio_client.exceptions.AppError(*args), triojob.sync.AppError(*args)
        assert str(ours) == str(theirs)
        for name in ("message", "duration", "visible", "title", "print_exception"):
            assert getattr(ours, name) == getattr(theirs, name)


# --- What the app offers ---


@pytest.mark.parametrize("all_endpoints", [None, True, False])
def test_view_api_as_text(pair, all_endpoints, capsys):
    def printed(client: Any) -> str:
        assert client.view_api(all_endpoints) is None
        return capsys.readouterr().out

    def returned(client: Any) -> Any:
        return client.view_api(all_endpoints, print_info=False, return_format="str")

    assert pair.same(printed) == pair.same(returned) + "\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("all_endpoints", [None, True, False])
def test_view_api_as_a_dictionary(pair: Pair, all_endpoints: bool | None) -> None:
    found = pair.same(
        lambda client: client.view_api(all_endpoints, print_info=False, return_format="dict")
    )
    assert "/greet" in found["named_endpoints"]
    assert "/hidden" not in found["named_endpoints"]


def test_clients_show_what_they_offer(pair: Pair) -> None:
    assert pair.same(repr) == pair.same(str)
    assert "predict(name, api_name=" in pair.same(str)
