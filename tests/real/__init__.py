"""The whole library against a real Gradio process, used as its users use it."""
