"""Batches on a real app."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from triojob.bulk import BatchCaller


@pytest.mark.parametrize("make", [dict, pd.DataFrame])
def test_failing_rows_stand_beside_others(gradio_url, make):
    batch = make({"name": np.array(["Ada", "", "Grace"]), "age": np.array([36, 20, 850])})
    done = BatchCaller(gradio_url, "/validated", output="said", error_column="why_not")(batch)
    assert list(done["said"]) == ["Ada is 36", None, None]
    first, second, third = done["why_not"]
    assert first is None
    assert second.endswith("the app refused the input: name: A name is needed.")
    assert third.endswith("the app refused the input: age: Nobody is of that age.")


def test_app_sees_key_of_each_row(gradio_url):
    caller = BatchCaller(
        gradio_url, "/header", fixed_arguments={"name": "Idempotency-Key"}, key="id", output="seen"
    )
    done = caller({"id": np.arange(20)})
    assert done["seen"].tolist() == [str(n) for n in range(20)]


def test_each_output_has_a_column(gradio_url):
    caller = BatchCaller(gradio_url, "/add", output=["sum", "product"])
    done = caller(pd.DataFrame({"a": [2, 3], "b": [5, 7]}))
    assert done[["sum", "product"]].to_numpy().tolist() == [[7, 10], [10, 21]]
