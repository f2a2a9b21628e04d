"""Real Gradio apps, each in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from triojob import testing

GRADIO_APP = Path(__file__).parent.parent / "servers" / "gradio_app.py"


class GradioProcess(testing.GradioProcess):
    """A real Gradio server of ours, which serves as long as this object isn't stopped."""

    def __init__(
        self,
        flags: tuple[str, ...],
        env: Mapping[str, str],
        *,
        python: str = sys.executable,
        app: Path = GRADIO_APP,
    ) -> None:
        options = ("--port", "0", "--watch-stdin") if app == GRADIO_APP else ()
        super().__init__([python, "-u", str(app), *options, *flags], env)

    @property
    def url(self) -> str:
        """Where the app is, or the first of several."""
        return f"http://127.0.0.1:{self.ready[0]}"


StartGradio = Callable[..., GradioProcess]
