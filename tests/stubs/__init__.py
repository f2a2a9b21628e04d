"""Typed modules of apps: what is written, what it is worth, and that no app can break out of it."""
