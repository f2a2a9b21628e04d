"""Tools for testing code that uses triojob: a Gradio app in memory, and a real one for pytest.

`docs/testing.md` explains their use; the fixtures are in `triojob.testing.pytest`.
"""

from __future__ import annotations

from . import components as components
from ._app import ScriptedApp as ScriptedApp
from ._calls import Call as Call
from ._process import (
    GradioProcess as GradioProcess,
    StartGradio as StartGradio,
    run_gradio as run_gradio,
)

# Objects show the module from which users import them.
for _object in (ScriptedApp, Call, GradioProcess, StartGradio, run_gradio):
    _object.__module__ = __name__
