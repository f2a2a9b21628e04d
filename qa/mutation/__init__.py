"""Mutation testing of the core: see `run.py`, and docs/reliability/mutation.md."""
