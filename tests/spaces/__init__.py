"""Hugging Face Spaces, against a stand-in hub."""
