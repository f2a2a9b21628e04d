"""A protocol that Gradio doesn't have: what a new one takes, and the tests that prove it."""
