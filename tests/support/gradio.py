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


class SharedGradio:
    """The process of the apps that all tests share; it starts when they need it, also again.

    It has to be ended when no test needs it for some time: an idle app takes 3 % of a core.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._process: GradioProcess | None = None
        self._urls: dict[tuple[str, ...], str] = {}

    def serve(self, *flags: str) -> str:
        """Return the URL of the app with these flags."""
        if self._process is None:
            self._process = GradioProcess((), self._env)
            self._urls = {(): self._process.url}
        if flags not in self._urls:
            self._urls[flags] = self._process.serve(*flags)
        return self._urls[flags]

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.terminate()
            self._process = None


ServeGradio = Callable[..., str]
StartGradio = Callable[..., GradioProcess]
