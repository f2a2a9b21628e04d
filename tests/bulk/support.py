"""What the tests of batches share: a server that counts, and may hold calls up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio

from tests.servers.faults import Answer
from tests.servers.scripted import Event, GradioError
from tests.support.threads import ServerThread
from triojob.testing.components import file, json_value, number


class BulkServer(ServerThread):
    """A scripted server in a thread: `/greet`, `/divide`, `/held`, `/hang` and others."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """How often `/held` was called, by its text."""
        self.passing = 0
        """How many calls of it are answered at once, before the others wait."""
        self.slow: str | None = None
        """The one text that its calls wait with; None for any."""
        self.waiting: list[str] = []
        """The texts of the calls of it that wait."""
        self.most = 0
        """How many waited at most."""
        super().__init__()
        self.call(self._add)

    def openings(self) -> int:
        """Return how often a client has asked what the app offers."""
        requests = self.call(lambda: list(self.server.requests))
        return sum(request.path.endswith("config") for request in requests)

    def _add(self) -> None:
        app = self.server.app
        self.gate = trio.Event()

        @app.endpoint(inputs=[number("a"), number("b")])
        async def divide(event: Event) -> None:
            a, b = event.data
            if b is None:
                raise GradioError("b is missing")
            if b == 0:
                raise GradioError("b is 0")
            await event.completed([a / b])

        @app.endpoint(inputs=["text"])
        async def held(event: Event) -> None:
            (text,) = event.data
            self.calls[text] += 1
            if self.calls.total() > self.passing and self.slow in (None, text):
                self.waiting.append(text)
                self.most = max(self.most, self.held)
                try:
                    await self.gate.wait()
                finally:
                    self.waiting.remove(text)
            await event.completed([text.upper()])

        @app.endpoint(inputs=["text"], outputs=["upper", number("length")])
        async def measure(event: Event) -> None:
            await event.completed([event.data[0].upper(), len(event.data[0])])

        @app.endpoint(inputs=[file("file")], outputs=[number("bytes")])
        async def size(event: Event) -> None:
            (data,) = event.data
            content = b"" if data is None else self.server.files[data["path"]]
            await event.completed([len(content)])

        @app.endpoint(inputs=["text"], outputs=[json_value("value")])
        async def odd(event: Event) -> None:
            text = event.data[0]
            await event.completed([{"n": 1} if text == "odd" else text])

    @property
    def held(self) -> int:
        """How many calls of `/held` wait."""
        return len(self.waiting)

    def open_gate(self) -> None:
        """Let the calls of `/held` end, those to come too."""
        self.call(self.gate.set)

    def refuse(self, method: str, path: str, status: int, *, times: int) -> None:
        """Answer the next requests to a path by an HTTP status."""
        self.call(lambda: self.server.fault(method, path, Answer(status), times=times))

    def joins(self) -> list[Any]:
        """Return the requests that made calls."""
        requests = self.call(lambda: list(self.server.requests))
        return [request for request in requests if request.path.endswith("queue/join")]
