"""The Gradio side: everything that knows what a Gradio app is."""
