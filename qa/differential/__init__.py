"""Differential tests: the same calls through gradio_client and `triojob.sync`, on one server."""
