"""Measure triojob beside other clients: ``python -m benchmarks``; see docs/performance.md."""
