"""The Gradio client, on a scripted server in memory and a mock clock."""
