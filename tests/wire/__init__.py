"""Tests of the layer without I/O: bytes to events to messages to values, and descriptions."""
