"""Counts the bytes of bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import final


@dataclass
class Traffic:
    """How many bytes the bodies of requests and responses had so far, without their headers."""

    sent: int = 0
    received: int = 0


@final
class CountedBody:
    """Counts the bytes of a request's body as they are sent; iterates over its pieces."""

    def __init__(self, body: AsyncIterator[bytes], traffic: Traffic) -> None:
        self._body = body
        self._traffic = traffic

    def __aiter__(self) -> CountedBody:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._body.__anext__()
        self._traffic.sent += len(piece)
        return piece
