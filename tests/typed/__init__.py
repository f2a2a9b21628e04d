"""A typed module that `triojob stubs` wrote, and code that uses it, for type checkers."""
