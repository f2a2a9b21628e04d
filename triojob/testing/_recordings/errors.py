"""The errors of recordings."""

from __future__ import annotations


class RecordingError(Exception):
    """A recording can't be made, or its file can't be read."""


class CallNotRecorded(AssertionError):
    """A recorded app was called in a way that its recording does not contain."""
