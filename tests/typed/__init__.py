"""Typed modules that `triojob stubs` wrote, and code that uses them, for type checkers."""
