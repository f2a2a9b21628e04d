"""The same behaviours, on a real Gradio server of any era; docs/eras.md shows the results."""
