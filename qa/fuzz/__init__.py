"""Fuzzing: whatever bytes a server sends, what reads them keeps to its word."""
