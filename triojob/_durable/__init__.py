"""Durable runs: each row's outcome is stored as it ends, and a killed run resumes.

`durable_map` and ``triojob map`` are two interfaces to one implementation:

- `run`: what the rows of a run share
- `unfinished`: the rows to call, after a comparison with those of earlier runs
- `row_call`: the job of one row, which stores its outcome
- `results`: the iterator over outcomes
- `store`: the interface of the stores, of which `open_store` opens one by its suffix
"""
