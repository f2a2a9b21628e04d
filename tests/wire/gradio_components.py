"""What Gradio's components say of themselves, and which values they take; printed as JSON.

It runs in a process of its own: Gradio warns a lot and leaves event loops behind.
Nothing here imports triojob.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2.5, 7, -1, 99, "", "a", "b", "zzz", "1", "#ff0000", "2020-01-01"),
    *([], ["a"], ["a", "b"], ["zzz"], [1], [None], [["a"]], [[]], {}, {"a": 1}),
    *({"headers": ["h"], "data": [["x"]]}, {"text": "a", "files": []}),
    [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    [{"token": "a", "class_or_confidence": None}],
]

COMPONENTS: dict[str, Callable[[Any], Any]] = {
    "Textbox": lambda gr: gr.Textbox(),
    "Number": lambda gr: gr.Number(),
    "Number with bounds": lambda gr: gr.Number(minimum=0, maximum=10),
    "whole Number": lambda gr: gr.Number(precision=0),
    "Slider": lambda gr: gr.Slider(0, 10),
    "whole Slider": lambda gr: gr.Slider(0, 10, precision=0),
    "Checkbox": lambda gr: gr.Checkbox(),
    "Radio": lambda gr: gr.Radio(["a", "b"]),
    "Radio of numbers": lambda gr: gr.Radio([1, 2.5]),
    "Radio of pairs": lambda gr: gr.Radio([("yes", True), ("none", "a")]),
    "Dropdown": lambda gr: gr.Dropdown(["a", "b"]),
    "Dropdown by index": lambda gr: gr.Dropdown(["a", "b"], type="index"),
    "Dropdown of several": lambda gr: gr.Dropdown(["a", "b"], multiselect=True),
    "Dropdown of anything": lambda gr: gr.Dropdown(["a", "b"], allow_custom_value=True),
    "Dropdown of several of anything": lambda gr: gr.Dropdown(
        ["a"], multiselect=True, allow_custom_value=True
    ),
    "empty Dropdown": lambda gr: gr.Dropdown([]),
    "CheckboxGroup": lambda gr: gr.CheckboxGroup(["a", "b"]),
    "CheckboxGroup of numbers": lambda gr: gr.CheckboxGroup([1, 2]),
    "DateTime": lambda gr: gr.DateTime(),
    "ColorPicker": lambda gr: gr.ColorPicker(),
    "Code": lambda gr: gr.Code(),
    "HTML": lambda gr: gr.HTML(),
    "HTML of props": lambda gr: gr.HTML({"a": 1}, html_template="<b>${value.a}</b>"),
    "Markdown": lambda gr: gr.Markdown(),
    "JSON": lambda gr: gr.JSON(),
    "Timer": lambda gr: gr.Timer(),
    "Dataframe": lambda gr: gr.Dataframe(type="array"),
    "Chatbot": lambda gr: gr.Chatbot(),
    "HighlightedText": lambda gr: gr.HighlightedText(),
    "MultimodalTextbox": lambda gr: gr.MultimodalTextbox(),
    "Label": lambda gr: gr.Label(),
    "File": lambda gr: gr.File(),
    "Files": lambda gr: gr.File(file_count="multiple"),
    "Gallery": lambda gr: gr.Gallery(),
    "FileExplorer": lambda gr: gr.FileExplorer(root_dir=Path(__file__).parent),
    "Dialogue": lambda gr: gr.Dialogue(speakers=["a", "b"]),
    "ImageSlider": lambda gr: gr.ImageSlider(),
    "BrowserState": lambda gr: gr.BrowserState(),
}


def takes(component: Any, value: Any) -> bool:
    """Do what `Blocks.preprocess_data` does with a value."""
    try:
        if getattr(component, "data_model", None) is not None and value is not None:
            value = component.data_model.model_validate(value, context={"validate_meta": True})
        component.preprocess(value)
    except Exception:  # noqa: BLE001 - whatever it is, it fails the job
        return False
    return True


def run(first: Any, second: Any) -> Any:
    return first


def name_clash(param_1: Any, fn_index: Any) -> Any:
    return param_1


def main() -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gradio as gr

    told: dict[str, Any] = {}
    for name, make in COMPONENTS.items():
        with gr.Blocks() as demo:
            component = make(gr)
            gr.Button().click(run, [component, gr.JSON()], None, api_name="run")
        told[name] = {
            "config": demo.get_config_file(),
            "info": demo.get_api_info(),
            "example": component.example_payload(),
            "takes": [takes(component, value) for value in VALUES],
        }
    with gr.Blocks() as demo:
        gr.Button().click(name_clash, [gr.Textbox(), gr.Textbox()], None, api_name="run")
    told["name clash"] = {"config": demo.get_config_file(), "info": demo.get_api_info()}
    json.dump(told, sys.stdout, default=str)


if __name__ == "__main__":
    main()
