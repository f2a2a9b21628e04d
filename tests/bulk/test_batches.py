"""The kinds of batches: what is read of each, and what comes back.  Arrow is in qa/engines."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.bulk.support import BulkServer
from triojob.bulk import BatchCaller
from triojob.bulk._batches import read_batch


def test_dict_of_arrays_gets_arrays_of_objects(server: BulkServer):
    batch = {"a": np.array([6, 1, 9]), "b": np.array([2.0, 0.0, math.nan]), "c": [1, 2, 3]}
    done = BatchCaller(server.url, "/divide")(batch)
    assert done["a"] is batch["a"]
    assert [type(done[name]) for name in ("result", "error")] == [np.ndarray] * 2
    assert done["result"].dtype == object
    assert done["result"].tolist() == [3, None, None]
    assert done["error"].tolist() == [None, "AppError: b is 0", "AppError: b is missing"]


def test_dict_of_lists_comes_back_with_lists(server: BulkServer):
    done = BatchCaller(server.url, "/greet")({"name": ("Ada", "Grace")})
    assert done["result"] == ["Hello Ada!", "Hello Grace!"]


def test_data_frame_keeps_index_gets_object_columns(server: BulkServer):
    frame = pd.DataFrame({"a": [6, 1], "b": [2, None]}, index=["x", "x"])
    before = frame.copy()
    done = BatchCaller(server.url, "/divide")(frame)
    assert list(done.index) == ["x", "x"]
    assert list(done.columns) == ["a", "b", "result", "error"]
    assert [done.dtypes[name] for name in ("result", "error")] == [object, object]
    assert done["result"].tolist() == [3, None]
    assert done["error"].tolist() == [None, "AppError: b is missing"]
    pd.testing.assert_frame_equal(frame, before)


def test_empty_data_frame_has_all_columns():
    done = BatchCaller("http://127.0.0.1:9", "/greet")(pd.DataFrame({"name": []}))
    assert list(done.columns) == ["name", "result", "error"]
    assert len(done) == 0


def test_list_results_stay_in_one_cell(server: BulkServer):
    caller = BatchCaller(server.url, "/measure")
    for batch in ({"text": np.array(["ab", "c"])}, pd.DataFrame({"text": ["ab", "c"]})):
        assert caller(batch)["result"].tolist() == [("AB", 2), ("C", 1)]


def test_data_frame_is_filled_without_results(server: BulkServer):
    caller = BatchCaller(server.url, "/divide", skip_completed=True)
    frame = pd.DataFrame({"a": [1, 4], "b": [1, 2], "result": [7.0, None]})
    done = caller(frame)
    assert done["result"].tolist() == [7, 2]
    assert list(done.columns) == ["a", "b", "result", "error"]
    assert len(server.joins()) == 1


@pytest.mark.parametrize(
    "column, values",
    [
        (np.array([1, 2], dtype=np.int8), [1, 2]),
        (np.array([1.5, math.nan], dtype=np.float32), [1.5, None]),
        (np.array([True]), [True]),
        (np.array(["a"]), ["a"]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([np.int64(1), None, np.array([1.0])], dtype=object), [1, None, [1.0]]),
        ([np.float64(0.5), math.nan, "x"], [0.5, None, "x"]),
        ("ab", ["a", "b"]),
    ],
)
def test_a_column_is_read_as_plain_values(column, values):
    read = read_batch({"c": column}).values("c")
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    "column, values",
    [
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series([True, pd.NA], dtype="boolean"), [True, None]),
        (pd.Series(["a", None]), ["a", None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", "b", "a"], dtype="category"), ["a", "b", "a"]),
        (pd.Series([0.5, math.nan]), [0.5, None]),
        (pd.Series([np.array([1, 2]), [3], pd.NaT], dtype=object), [[1, 2], [3], None]),
    ],
)
def test_a_series_is_read_as_plain_values(column, values):
    read = read_batch(pd.DataFrame({"c": column})).values("c")
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    "batch",
    [
        {"c": np.array(["2026-01-01"], dtype="datetime64[ns]")},
        {"c": np.array([5], dtype="timedelta64[s]")},
        pd.DataFrame({"c": pd.to_datetime(["2026-01-01"], utc=True)}),
    ],
)
def test_times_are_refused_as_json_has_none(batch):
    with pytest.raises(TypeError, match="column 'c' contains dates or times"):
        read_batch(batch).values("c")


@pytest.mark.parametrize("batch", [None, [1], "text", pd.Series([1])])
def test_what_is_no_batch_is_refused(batch):
    with pytest.raises(TypeError, match="a batch is a dict of arrays or lists"):
        BatchCaller("http://x")(batch)


def test_columns_of_several_lengths_are_refused():
    with pytest.raises(ValueError, match="the same length"):
        BatchCaller("http://x")({"a": [1], "b": [1, 2]})
