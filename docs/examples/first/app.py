import gradio as gr


def greet(name: str) -> str:
    return f"Hello {name}!"


gr.Interface(greet, "text", "text", api_name="greet").launch()
