"""A web service that calls a Gradio app and streams its progress.

``hypercorn --worker-class trio service:service``, with the app's URL in ``GRADIO_URL``.
"""

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from triojob import Client, Endpoint, Job, JobGroup, LogMessage, OutputUpdate, StatusUpdate

URL = os.environ.get("GRADIO_URL", "http://127.0.0.1:7860")


@asynccontextmanager
async def open_client(service: FastAPI) -> AsyncIterator[None]:
    """Keep one client for all requests, as long as the service runs."""
    async with Client(URL) as client:
        service.state.client = client
        yield


service = FastAPI(lifespan=open_client)


@service.get("/typeset")
async def typeset(request: Request, pages: int, key: str) -> Response:
    """Typeset pages, and stream the progress."""
    return JobResponse(request.app.state.client.endpoint("/typeset"), pages, 0.1, key)


class JobResponse(Response):
    """A response that makes a call and streams its progress; the call cannot outlive it."""

    def __init__(self, endpoint: Endpoint, *arguments: Any) -> None:
        super().__init__()
        self.endpoint, self.arguments = endpoint, arguments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with JobGroup() as group:
            job = group.submit(self.endpoint, *self.arguments)
            async with aclosing(tell(job)) as events:
                respond = StreamingResponse(
                    events,
                    media_type="text/event-stream",
                    headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
                )
                await respond(scope, receive, send)  # returns early if the reader disconnects
            job.cancel("the reader has disconnected")  # no effect if the job has ended


async def tell(job: Job[Any]) -> AsyncGenerator[str, None]:
    """Yield the updates of a job as server-sent events."""
    async for update in job.updates():
        match update:
            case StatusUpdate():
                done = [(unit.index, unit.length) for unit in update.progress_data or ()]
                yield event("status", code=update.code.name, progress=done)
            case OutputUpdate():
                yield event("output", value=update.output)
            case LogMessage():
                yield event("log", text=update.text)
    failure = job.exception()  # retrieves it: the group does not raise it
    if failure is None:
        yield event("result", value=await job.result())
    else:
        yield event("failure", kind=type(failure).__name__)


def event(name: str, **data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
