"""Bulk jobs on an engine that runs already: calls for each row of a table, batch by batch.

`BatchCaller` is what Ray Data, Dask, Spark and pools of processes take; docs/scaling.md has each.
"""

from __future__ import annotations

from ._caller import BatchCaller as BatchCaller

BatchCaller.__module__ = __name__
