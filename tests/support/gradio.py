"""Real Gradio apps, each in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from triojob import testing
from triojob.testing._process import BOOT_SECONDS

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
        super().__init__([python, "-u", str(app), *flags], env)

    @property
    def url(self) -> str:
        """Where the app is, or the first of several."""
        return f"http://127.0.0.1:{self.ready[0]}"

    def serve(self, *flags: str) -> str:
        """Serve the app of `gradio_app.py` once more, with other flags; return its URL."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(flags).encode() + b"\n")
        self.process.stdin.flush()
        (port,) = self._wait_until_ready(BOOT_SECONDS)
        return f"http://127.0.0.1:{port}"


ServeGradio = Callable[..., str]
StartGradio = Callable[..., GradioProcess]
