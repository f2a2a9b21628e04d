"""Dask: threads, and a real cluster of processes.  `nox -s engines` has what it takes."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from triojob.bulk import BatchCaller

dd: Any = pytest.importorskip("dask.dataframe", reason="nox -s engines runs this")
distributed: Any = pytest.importorskip("distributed", reason="nox -s engines runs this")

from qa.engines.support import (  # noqa: E402
    BLOCKS,
    TEXTS,
    WORKERS,
    kill_one_worker,
    repeated_blocks,
)
from tests.bulk.support import BulkServer  # noqa: E402 - after what it needs is known to be there

# Its workers leave sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


def called(caller: BatchCaller) -> Any:
    table = dd.from_pandas(pd.DataFrame({"text": TEXTS}), npartitions=BLOCKS)
    meta = {**table.dtypes, "result": object, "error": object}
    return table.map_partitions(caller, meta=meta)


def assert_complete(done: pd.DataFrame) -> None:
    assert done["text"].tolist() == TEXTS
    assert done["result"].tolist() == [text.upper() for text in TEXTS]
    assert done["error"].isna().all()


def test_threads_share_one_client_and_its_limit(server: BulkServer):
    server.open_gate()
    server.passing = 0
    done = called(BatchCaller(server.url, "/held", limit=4))
    assert_complete(done.compute(scheduler="threads", num_workers=4))
    assert server.most <= 4
    assert sum(path == "GET /config" for path in server.call(server.server.paths)) == 1


def test_killed_worker_loses_no_row(server, tmp_path):
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options, local_directory=tmp_path) as cluster,
        distributed.Client(cluster),
    ):
        killing = kill_one_worker(server)
        assert_complete(called(BatchCaller(server.url, "/held", limit=4)).compute())
        assert killing.get()
    # The block that it had, and those whose results nobody had fetched from it yet.
    assert repeated_blocks(server, "Dask")
