"""A recording: what an app described and sent; and its file.

The file has a JSON object on each line:

- ``{"triojob_recording": 1}``, always the first: the version of this format;
- ``{"config": ...}``, the app's ``/config``, then one line for each of its components and
  dependencies: ``{"component": ...}``, ``{"dependency": ...}``;
- ``{"info": ...}``, the app's ``/info?all_endpoints=True``, then one line for each named endpoint:
  ``{"endpoint": "/name", "info": ...}``; and ``{"public_info": ...}``, its ``/info``, for the few
  apps where that differs in more than the number of endpoints;
- for each call ``{"call": 1, "endpoint": "/name", "arguments": ...}``, in an app with State with
  the number of its ``session``, followed by one line for each message.

A message has the format of Gradio's queue, without what no client uses, and ``at``, the seconds
since the call came: ``{"at": 0.12, "msg": "process_starts", "eta": null}``.
After the first ``process_generating``, outputs are edits of the previous one.
``{"at": 0.01, "refused": 503, "body": ...}`` is a refusal, and ``{"at": 2.5, "cancelled": true}``
the cancellation by the client.

Calls are in the order of endpoints, sessions and arguments, so that two recordings of the same
calls differ only in what the app did.
Files have the path ``"<digest>/<name>"``, by which they lie in the folder beside the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._exceptions import shorten
from ..._whole_file import replace_file
from ...gradio.files.names import safe_name
from ...gradio.protocol.messages import Json, is_list, is_object
from ...gradio.schema.app import AppInfo
from .errors import RecordingError

VERSION = 1
_FIRST = b'{"triojob_recording"'
_LISTS = {"components": "component", "dependencies": "dependency"}
_KEY = re.compile(r"[0-9a-f]{16}/[^/\\]+")
"""A file's path in a recording."""


@dataclass
class RecordedCall:
    """One call, and what the app sent."""

    endpoint: str
    """Its name, such as ``"/name"``."""
    request: Json
    """Its ``arguments``, and its ``event_data`` and ``trigger_id`` if it has any."""
    session: int | None = None
    """The number of its session, if its endpoint has State."""
    messages: list[Json] = field(default_factory=list)
    """Each with ``at``, in seconds since the call."""

    @property
    def order(self) -> tuple[str, int, str]:
        """Where it is in the file; calls that compare equal stay in the order of their arrival."""
        if self.session is not None:
            return self.endpoint, self.session, ""
        return self.endpoint, 0, json.dumps(self.request, sort_keys=True)


class Recording:
    """What an app described and sent.

    Args:
        app: The app's description.
        max_size: The most bytes of its file and of the files beside it.
    """

    def __init__(self, app: AppInfo, max_size: float) -> None:
        self.app = app
        self.calls: list[RecordedCall] = []
        self.files: dict[str, bytes] = {}
        """The content of files by their paths."""
        self._max_size = max_size
        self._size = 0

    def add_message(self, call: RecordedCall, at: float, message: Json) -> None:
        """Add a message of a call.

        Args:
            at: Seconds since the call came.

        Raises:
            RecordingError: The recording becomes too large.
        """
        self.add_end(call, at, message)
        self.count(message, call.endpoint)

    def add_end(self, call: RecordedCall, at: float, message: Json) -> None:
        """Add a message that is always small enough."""
        call.messages.append({"at": round(at, 3), **message})

    def count(self, value: Json, endpoint: str) -> None:
        """Count the bytes of a request or message.

        Raises:
            RecordingError: The recording becomes too large.
        """
        self._take(len(json.dumps(value)), f"a call of {endpoint}")

    def add_file(self, name: str, content: bytes) -> str:
        """Add a file; return its path.

        Raises:
            RecordingError: The recording becomes too large.
        """
        key = self.key_of(name, content)
        if key not in self.files:
            self._take(len(content), f"the file {name!r}")
            self.files[key] = content
        return key

    @staticmethod
    def key_of(name: str, content: bytes) -> str:
        """Return the path of a file in recordings."""
        return f"{_digest(content)}/{safe_name(name)}"

    def _take(self, size: int, what: str) -> None:
        self._size += size
        if self._size > self._max_size:
            raise RecordingError(
                f"the recording is larger than {self._max_size:g} bytes with {what} "
                f"({size} bytes); max_size= sets the limit"
            )

    # --- Its file ---

    def save(self, path: Path) -> None:
        """Write it; until the end, the former file and the files beside it stay as they are.

        Raises:
            OSError: It can't be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = folder_of(path)
        for key, content in self.files.items():
            target = folder / key
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(target, content)
        replace_file(path, b"".join(_encoded(line) + b"\n" for line in self._lines()))
        # Files that only the former recording had.
        for old in folder.glob("*/*"):
            key = f"{old.parent.name}/{old.name}"
            if _KEY.fullmatch(key) and key not in self.files:
                old.unlink()
                with suppress(OSError):  # as long as it is not empty
                    old.parent.rmdir()
                    folder.rmdir()

    def _lines(self) -> Iterator[Json]:
        config, info, public = self.app.config, self.app.info, self.app.public_info
        yield {"triojob_recording": VERSION}
        yield {"config": {key: value for key, value in config.items() if key not in _LISTS}}
        for key, name in _LISTS.items():
            yield from ({name: item} for item in config[key])
        named = info["named_endpoints"]
        yield {"info": {**info, "named_endpoints": {}}}
        yield from ({"endpoint": name, "info": described} for name, described in named.items())
        if public is not info:
            yield {"public_info": public}
        for number, call in enumerate(sorted(self.calls, key=lambda call: call.order), 1):
            session = {} if call.session is None else {"session": call.session}
            yield {"call": number, "endpoint": call.endpoint, **call.request, **session}
            yield from call.messages

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a file, and the files beside it.

        Raises:
            FileNotFoundError: There is none.
            RecordingError: It is not a recording, or damaged.
        """
        reader = _Reader(path)
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                value = json.loads(line)
                if not is_object(value):
                    raise ValueError("it is not an object")
                reader.read(number, value)
            except (ValueError, KeyError, TypeError, IndexError) as exc:
                raise RecordingError(
                    f"{path}, line {number}: {type(exc).__name__}: {exc}; record again"
                ) from exc
        return reader.recording()


class _Reader:
    """Reads the lines of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._config: Json = {}
        self._info: Json = {"named_endpoints": {}}
        self._public: Json | None = None
        self._calls: list[RecordedCall] = []

    def read(self, number: int, line: Json) -> None:
        if number == 1:
            self._check_version(line)
        elif "call" in line:
            request = {k: v for k, v in line.items() if k not in ("call", "endpoint", "session")}
            self._calls.append(RecordedCall(line["endpoint"], request, line.get("session")))
        elif "at" in line:
            if not line.keys() & {"msg", "refused", "cancelled"}:
                raise ValueError(f"unknown kind of message: {shorten(line)}")
            self._calls[-1].messages.append(line)
        elif "endpoint" in line:
            self._info["named_endpoints"][line["endpoint"]] = line["info"]
        elif "info" in line:
            self._info = line["info"]
        elif "public_info" in line:
            self._public = line["public_info"]
        elif "config" in line:
            self._config = {**line["config"], "components": [], "dependencies": []}
        else:
            found = [(key, name) for key, name in _LISTS.items() if name in line]
            if not found:
                raise ValueError(f"unknown kind of line: {shorten(line)}")
            self._config[found[0][0]].append(line[found[0][1]])

    def _check_version(self, line: Json) -> None:
        version = line["triojob_recording"]
        if version != VERSION:
            raise RecordingError(
                f"{self._path} has version {version!r} of the format of recordings, and this "
                f"triojob reads version {VERSION}; record again"
            )

    def recording(self) -> Recording:
        if not self._config:
            raise RecordingError(f"{self._path} is not a recording: it describes no app")
        recording = Recording(AppInfo(self._config, self._info, self._public), float("inf"))
        recording.calls = self._calls
        folder = folder_of(self._path)
        for key in _file_keys([call.messages for call in self._calls]):
            try:
                content = (folder / key).read_bytes()
            except FileNotFoundError:
                raise RecordingError(f"{folder} lacks the file {key!r}; record again") from None
            if _digest(content) != key.partition("/")[0]:
                raise RecordingError(
                    f"{folder / key} was changed since it was recorded; record again, or keep "
                    "git from converting line ends there"
                )
            recording.files[key] = content
        return recording


def refuse_other_file(path: Path) -> None:
    """Refuse to replace what is not a recording.

    Raises:
        RecordingError: There is another file, or a folder.
    """
    if not path.exists():
        return
    if path.is_file():
        with path.open("rb") as file:
            first = file.read(len(_FIRST))
        if first in (b"", _FIRST):
            return
    raise RecordingError(
        f"{path} is not a recording, so it is not replaced; choose another path, or delete it"
    )


def folder_of(path: Path) -> Path:
    """Return the folder of the files of a recording."""
    # No other suffix is removed, so that ``v1.1`` and ``v1.2`` do not share a folder.
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.files")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _file_keys(value: Any) -> Iterator[str]:
    """Yield the paths of the files in messages."""
    if is_list(value):
        for item in value:
            yield from _file_keys(item)
    elif is_object(value):
        path = value.get("path")
        if isinstance(path, str) and "meta" in value and _KEY.fullmatch(path):
            yield path
        for item in value.values():
            yield from _file_keys(item)


def _encoded(line: Json) -> bytes:
    # An app may send half of a surrogate pair, which has no UTF-8, only an escape.
    return json.dumps(line, ensure_ascii=False).encode(errors="backslashreplace")
