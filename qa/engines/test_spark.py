"""Spark on this machine.  `nox -s engines` has what it takes, but for Java."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from triojob.bulk import BatchCaller

sql: Any = pytest.importorskip("pyspark.sql", reason="nox -s engines runs this")

from qa.engines.support import (  # noqa: E402
    BLOCKS,
    TEXTS,
    kill_one_worker,
    repeated_blocks,
)

# It leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run Spark with two threads, which makes a task that fails again up to three times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = sql.SparkSession.builder.master("local[2,4]")
        for name, value in {
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


def test_killed_worker_loses_no_row(spark, server):
    caller = BatchCaller(server.url, "/held", limit=4)
    rows = spark.sparkContext.parallelize([(text,) for text in TEXTS], BLOCKS)
    table = spark.createDataFrame(rows, "text string")
    killing = kill_one_worker(server, count=2)
    done = table.mapInPandas(caller.in_pandas, "text string, result string, error string")
    found = done.collect()
    assert killing.get()
    assert [tuple(row) for row in found] == [(text, text.upper(), None) for text in TEXTS]
    assert len(repeated_blocks(server, "Spark")) == 1
