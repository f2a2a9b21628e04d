"""Tools for testing code that uses triojob: a Gradio app in memory, recordings, and a real app.

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
from ._recordings.errors import (
    CallNotRecorded as CallNotRecorded,
    RecordingError as RecordingError,
)
from ._recordings.player import RecordedApp as RecordedApp
from ._recordings.relay import record as record
from ._served import OpenApp as OpenApp, ServedApp as ServedApp

# Objects show the module from which users import them.
for _object in (
    ScriptedApp,
    Call,
    GradioProcess,
    StartGradio,
    run_gradio,
    CallNotRecorded,
    RecordingError,
    RecordedApp,
    record,
    ServedApp,
    OpenApp,
):
    _object.__module__ = __name__
