import gradio as gr


def greet(name: str) -> str:
    return f"Hello {name}!"


demo = gr.Interface(greet, "text", "text", api_name="greet")

if __name__ == "__main__":
    demo.launch()
