"""Tables of pyarrow, which the tests' environment hasn't.  `nox -s engines` has."""

from __future__ import annotations

from typing import Any

import pytest

from triojob.bulk import BatchCaller
from triojob.bulk._batches import read_batch

pa: Any = pytest.importorskip("pyarrow", reason="nox -s engines runs this")

from tests.bulk.support import BulkServer  # noqa: E402 - after what it needs is known to be there


def test_a_table_comes_back_with_typed_columns(server: BulkServer):
    table = pa.table({"a": [6, 1, 1], "b": [2, 0, None]})
    done = BatchCaller(server.url, "/divide")(table)
    assert done.column_names == ["a", "b", "result", "error"]
    assert done.schema.field("error").type == pa.string()
    assert done.to_pydict() == {
        "a": [6, 1, 1],
        "b": [2, 0, None],
        "result": [3, None, None],
        "error": [None, "AppError: b is 0", "AppError: b is missing"],
    }


def test_gaps_of_a_table_are_filled(server: BulkServer):
    table = pa.table({"result": [None, 7], "a": [6, 1], "b": [2, 1]})
    done = BatchCaller(server.url, "/divide", skip_completed=True)(table)
    assert done.column_names == ["result", "a", "b", "error"]
    assert done["result"].to_pylist() == [3, 7]


def test_misfit_result_loses_its_row_only(server: BulkServer):
    table = pa.table({"text": ["fine", "odd", "good"]})
    done = BatchCaller(server.url, "/odd")(table)
    assert done["result"].to_pylist() == ["fine", None, "good"]
    error = done["error"].to_pylist()
    assert (error[0], error[2]) == (None, None)
    assert error[1].startswith("TypeError: its result does not have the type of the other values")
    with pytest.raises(TypeError, match="does not have the type"):
        BatchCaller(server.url, "/odd", on_error="raise")(table)


def test_mixed_results_share_a_column():
    batch = read_batch(pa.table({"c": [1, 2, 3]}))
    assert batch.misfits([1, None, 2.5]) == {}
    assert set(batch.misfits([1, 2.5, "text", {"a": 1}, 3])) == {2, 3}
    values = [{"a": 1}, {"b": "x"}, {"b": 1}, {"a": 2.5}]
    assert set(batch.misfits(values)) == {2}
    del values[2]
    assert len(batch.with_columns({"new": values}, {})["new"]) == 3


def test_times_are_refused_as_json_has_none():
    batch = read_batch(pa.table({"c": pa.array([0], type=pa.timestamp("s"))}))
    with pytest.raises(TypeError, match="column 'c' contains dates or times"):
        batch.values("c")
