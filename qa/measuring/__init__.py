"""Tests of the benchmarks' own parts; nothing here measures a time."""
