"""A real Ray cluster on this machine.  `nox -s engines` has what it takes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from triojob.bulk import BatchCaller

ray: Any = pytest.importorskip("ray", reason="nox -s engines runs this")

from qa.engines.support import (  # noqa: E402
    BLOCKS,
    ROWS,
    TEXTS,
    WORKERS,
    kill_one_worker,
    repeated_blocks,
)
from tests.bulk.support import BulkServer  # noqa: E402 - after what it needs is known to be there

# Ray leaves sockets and files to the garbage collector, and warns of its own changes to come.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Run a cluster of this machine alone."""
    with pytest.MonkeyPatch.context() as patch:
        # Else it would write one into the home directory.
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def table(cluster: None) -> Any:
    """Return a data set in blocks."""
    rows = [{"text": text, "id": f"key {text}"} for text in TEXTS]
    return ray.data.from_items(rows, override_num_blocks=BLOCKS)


def test_killed_worker_loses_no_row(table, server):
    killing = kill_one_worker(server)
    done = table.map_batches(
        BatchCaller,
        fn_constructor_kwargs={"url": server.url, "api_name": "/held", "limit": 4, "key": "id"},
        compute=ray.data.ActorPoolStrategy(size=WORKERS),
        batch_size=ROWS,
    )
    rows = done.take_all()
    assert killing.get()
    assert {row["text"]: row["result"] for row in rows} == {text: text.upper() for text in TEXTS}
    assert [row["error"] for row in rows] == [None] * len(TEXTS)
    assert len(rows) == len(TEXTS)
    assert len(repeated_blocks(server, "Ray")) == 1
    # A call that is made again has the same key.
    keys = {}
    for join in server.joins():
        keys.setdefault(join.json["data"][0], set()).add(join.headers["idempotency-key"])
    assert keys == {text: {f"key {text}"} for text in TEXTS}


@pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
def test_each_kind_of_batch_that_ray_has(cluster: None, server: BulkServer, batch_format: str):
    table = ray.data.from_items(
        [{"a": 6, "b": 2}, {"a": 1, "b": 0}, {"a": 1, "b": None}, {"a": 2.5, "b": 1}],
        override_num_blocks=2,
    )
    done = table.map_batches(
        BatchCaller,
        fn_constructor_args=(server.url, "/divide"),
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_format=batch_format,
    )
    rows = sorted(done.take_all(), key=lambda row: (row["a"], str(row["b"])))
    assert [(row["result"], row["error"]) for row in rows] == [
        (None, "AppError: b is 0"),
        (None, "AppError: b is missing"),
        (2.5, None),
        (3, None),
    ]
