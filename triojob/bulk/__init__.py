"""Batch jobs on an engine that you already run: calls for each row of a table, batch by batch.

`BatchCaller` works with Ray Data, Dask, Spark and process pools; see docs/scaling.md.
"""

from __future__ import annotations

from ._caller import BatchCaller as BatchCaller

BatchCaller.__module__ = __name__
