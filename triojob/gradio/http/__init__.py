"""HTTP over Trio: requests, responses, event streams and files; nothing of Gradio."""
