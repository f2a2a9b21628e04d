"""The rows that a store contains, and the digests by which a resumed run recognizes them."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._exceptions import short_repr
from ..gradio.files.inputs import FileInput

BLOCK = 256
"""Rows per sum of digests, so that a resumed run can verify its input without each digest."""
_MODULUS = 2**64
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Return a digest of a row's inputs: 16 hexadecimal digits, the same in each process.

    Raises:
        TypeError: They are not plain data: JSON can't hold them, or a value has no text that is the
            same in each process.
    """
    try:
        text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=_stable)
    except (TypeError, ValueError, RecursionError) as exc:
        raise TypeError(
            f"a row can't be recognized by a later run: {exc}; give rows of plain data"
        ) from exc
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _stable(value: object) -> object:
    """Return a value that JSON lacks as data that is the same in each process."""
    text = str(value)
    is_open_file = False
    if isinstance(value, FileInput):
        is_open_file = not isinstance(value.source, (str, bytes))
        text = f"{value.name}: {value.source!r}"
    elif callable(to_list := getattr(value, "tolist", None)):
        return to_list()  # of NumPy, whose texts of long arrays are shortened
    if not (is_open_file or type(value) in (set, frozenset) or _ADDRESS.search(text)):
        return text
    raise TypeError(f"{short_repr(value)} has no text that is the same in each process")


class Intervals:
    """A set of mostly consecutive numbers, stored as the beginnings and ends of its ranges."""

    def __init__(self) -> None:
        self._edges: list[int] = []
        """Alternating beginnings and ends: [0, 5, 7, 8] is 0 to 4, and 7."""
        self.count: int = 0

    @property
    def last(self) -> int:
        """The largest number; -1 if the set is empty."""
        return self._edges[-1] - 1 if self._edges else -1

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._edges, number) % 2 == 1

    def __iter__(self) -> Iterator[int]:
        for begin, end in zip(self._edges[::2], self._edges[1::2], strict=True):
            yield from range(begin, end)

    def add(self, number: int) -> None:
        """Add a number, if it is not in the set yet."""
        edges = self._edges
        place = bisect_right(edges, number)
        if place % 2 == 1:
            return
        self.count += 1
        # Adjacent to the range before, the range after, both or none.
        before = place > 0 and edges[place - 1] == number
        after = place < len(edges) and edges[place] == number + 1
        low = place - 1 if before else place
        high = place + 1 if after else place
        edges[low:high] = [*([] if before else [number]), *([] if after else [number + 1])]


@dataclass
class FinishedRows:
    """The rows that earlier runs have finished."""

    rows: Intervals = field(default_factory=Intervals)
    failed: int = 0
    """How many of them have failed."""
    sums: dict[int, int] = field(default_factory=dict[int, int])
    """The sum of the digests of the finished rows of each block."""

    def add(self, row: int, digest: str, *, ok: bool) -> None:
        """Note a row.

        Raises:
            ValueError: It is there already, or the digest is invalid.
        """
        if row in self.rows:
            raise ValueError(f"row {row} appears twice")
        number = int(digest, 16)
        self.rows.add(row)
        self.failed += not ok
        block = row // BLOCK
        self.sums[block] = (self.sums.get(block, 0) + number) % _MODULUS

    def has_digests(self, block: int, digests: list[str]) -> bool:
        """Return whether the finished rows of a block have these digests."""
        return sum(int(digest, 16) for digest in digests) % _MODULUS == self.sums.get(block, 0)


ReadDigests = Callable[[int], Mapping[int, str]]
"""Returns the digests of a block's finished rows, by row."""
