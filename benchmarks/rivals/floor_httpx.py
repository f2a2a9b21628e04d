"""Trio and httpx, and nothing else."""

from __future__ import annotations

import time

_START = time.perf_counter()

import httpx
import trio

IMPORT = time.perf_counter() - _START

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ._floor import API, POSTS, STREAMS, Result, call, floor, in_trio
from ._measure import Meter


class Wire:
    """Requests by an `httpx.AsyncClient`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON, and return the JSON of the answer."""
        return (await self.client.post(path, json=body)).json()

    async def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """Get the pieces of an answer, as they come."""
        async with self.client.stream("GET", path) as response:
            async for piece in response.aiter_bytes():
                yield piece


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Wire, None]:
    # Gradio closes idle connections after 5 s, and a request may meet that: so let go before.
    limits = httpx.Limits(
        max_connections=STREAMS + POSTS, max_keepalive_connections=None, keepalive_expiry=2
    )
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=None) as client:
        yield Wire(client)


async def upload(url: str, path: str) -> Result:
    async with opened(url) as wire:
        await call(wire, "echo", "warm")
        meter = Meter()
        with Path(path).open("rb") as file:
            answer = await wire.client.post(f"{API}/upload", files={"files": ("f.bin", file)})
        meta = {"_type": "gradio.FileData"}
        data = {"path": answer.json()[0], "orig_name": "f.bin", "meta": meta}
        size, _ = await call(wire, "size_of", data)
        return {**meter.stop(), "lost": int(size != Path(path).stat().st_size)}


def importing() -> Result:
    return {"wall": IMPORT, "version": f"trio {trio.__version__}, httpx {httpx.__version__}"}


if __name__ == "__main__":
    floor(opened, {"import": importing, "upload": in_trio(upload)})
