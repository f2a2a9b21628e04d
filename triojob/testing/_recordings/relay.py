"""`record`: an app between a client and the real app, which records what the real app sends."""

from __future__ import annotations

import json
import math
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
from outcome import Error, Outcome

from triojob import Client, FileTooLarge, Limits, TriojobError, handle_file

from ..._exceptions import raise_first
from ..._secrets import MASK, Secrets
from ...gradio.client import open_session, pinned_endpoint, registry_of, settings_of
from ...gradio.endpoint import Endpoint, observe_call
from ...gradio.files.data import find_files, replace_files
from ...gradio.files.file import File
from ...gradio.files.inputs import FileInput
from ...gradio.protocol.diff import EditError, settled
from ...gradio.protocol.file_marks import FileData
from ...gradio.protocol.messages import Json, is_list, is_object
from ...gradio.protocol.translator import apply_data_edits
from ...gradio.session.session import Session
from .._served import ServedApp
from .._server.description import App
from .._server.event import Event, GradioError
from .cleaning import Cleaner, file_entry, password_parameters
from .described import DescribedApp, RelayedCall, RelayingApp, refusal_response
from .errors import RecordingError
from .recording import RecordedCall, Recording, refuse_other_file

MAX_SIZE = 50 * 2**20
"""Bytes of a recording, with its files."""


def record(
    src: str,
    path: str | os.PathLike[str],
    *,
    secrets: Sequence[str] = (),
    max_size: float = MAX_SIZE,
    **options: Any,
) -> ServedApp:
    """Record what an app sends while it is called.

    ::

        async with record("http://127.0.0.1:7860", "app.jsonl").client() as client:
            print(await client.predict("hello", api_name="/translate"))

    The result is used like a `ScriptedApp`: ``async with app.client() as client``; or pass
    ``app.url`` and ``app.transport()`` to your own `Client`; or ``async with app.serve() as url``
    for code that takes a URL.  Calls go to the real app, and `RecordedApp` plays them later.

    The file is written when the ``async with`` block ends, at once or not at all.
    If the block raises, nothing is written, and a former recording stays as it is.
    Files of outputs are kept beside it, in a folder: ``app.files`` for ``app.jsonl``.

    Masked as ``***`` are the credentials in ``options``, ``secrets`` and what is typed into
    password fields; ``***`` in an argument later stands for any text.  Addresses of the app are
    replaced.  Read a recording before you publish it: other values are recorded as they are.

    Args:
        src: The app's URL, or the name of a Hugging Face Space.
        path: The file to write.
        secrets: Texts to mask, such as keys that are passed as arguments.
        max_size: The most bytes of the recording and of the files beside it.
        options: Options of the `Client` that calls the real app, such as ``auth`` and ``token``.

    Leaving the block raises `RecordingError` if the recording is too large, if the app sent what a
    recording can't contain, or if the network failed: then nothing is written.
    It raises `OSError` if the file can't be written.

    Raises:
        RecordingError: There is a file at ``path`` that is not a recording.
    """
    return RelayApp(src, Path(path), secrets=secrets, max_size=max_size, **options)


class RelayApp(RelayingApp):
    """An app that calls the real one, and records it.

    Args:
        path: Where to write the recording; None to write nothing.
    """

    def __init__(
        self,
        src: str,
        path: Path | None,
        *,
        secrets: Sequence[str] = (),
        max_size: float = MAX_SIZE,
        **options: Any,
    ) -> None:
        super().__init__()
        self._src = src
        self._path = path
        self._secrets = Secrets()
        if isinstance(secrets, str):  # each of its letters, otherwise
            raise TypeError("secrets is a list of texts, not one text")
        self._secrets.add(*secrets)
        if path is not None:
            refuse_other_file(path)
        self._max_size = max_size
        self._options = options
        self._upstream: Client | None = None
        self._sessions: dict[str, Session] = {}
        """The session with the real app, by session hash."""
        self._numbers: dict[str, int] = {}
        """The numbers of the sessions that have calls with State."""
        self._cleaner = Cleaner(())
        self._recorded: dict[Event, RecordedCall] = {}

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[App, None]:
        most = None if math.isinf(self._max_size) else int(self._max_size)
        limits = replace(self._options.get("limits") or Limits(), download_size=most)
        options: dict[str, Any] = {
            **self._options,
            "limits": limits,
            "download_files": False,
            "validate": False,
        }
        client = Client(self._src, **options)
        async with client:
            root = client.app.config.get("root")
            addresses = {client.src, *([root] if isinstance(root, str) else [])}
            self._cleaner = Cleaner({url.rstrip("/") for url in addresses if url.strip("/")})
            recording = Recording(self._cleaner.description(client.app), self._max_size)
            self._recording, self._upstream = recording, client
            try:
                yield DescribedApp(recording.app, self._pass_on)
            finally:
                for session in self._sessions.values():
                    session.end()
                self._sessions, self._numbers, self._upstream = {}, {}, None
        raise_first(self._problems)
        if self._path is not None:
            recording.save(self._path)

    @property
    def _made(self) -> Recording:
        assert self._recording is not None
        return self._recording

    def _came(self, event: Event, relayed: RelayedCall) -> None:
        session: int | None = None
        if relayed.is_stateful:
            session = self._numbers.setdefault(event.session_hash, len(self._numbers) + 1)
        arguments = dict(relayed.request["arguments"])
        for name in password_parameters(self._made.app, relayed.info):
            value = arguments.get(name)
            if isinstance(value, str) and value:
                self._secrets.add(value)
                arguments[name] = MASK
        request = self._cleaner.clean({**relayed.request, "arguments": arguments})
        # Made here, as only this is called in the order of arrival.
        call = RecordedCall(relayed.call.endpoint, request, session)
        self._made.calls.append(call)
        self._recorded[event] = call

    # --- One call ---

    async def _pass_on(self, event: Event) -> None:
        call, start = self._recorded.pop(event), trio.current_time()
        try:
            await self._call(event, call, start)
        except RecordingError as exc:
            self._relayed[event].call.exception = exc
            self._problems.append(exc)
            raise GradioError(str(exc), title="Not recorded") from exc
        finally:
            # However it was cancelled: by a request, or because its client or this app has ended.
            if not event.ended:
                self._made.add_end(call, trio.current_time() - start, {"cancelled": True})

    async def _call(self, event: Event, call: RecordedCall, start: float) -> None:
        self._made.count(call.request, call.endpoint)
        assert self._upstream is not None
        try:
            endpoint, arguments = self._upstream_call(event, self._upstream)
        except (TriojobError, ValueError) as exc:
            raise RecordingError(f"{call.endpoint} can't be called: {exc}") from exc
        outputs = _Outputs(self._upstream, self._made)
        results: list[Outcome[Any]] = []
        send, receive = trio.open_memory_channel[tuple[float, Json]](math.inf)

        def observe(message: Json) -> None:
            send.send_nowait((trio.current_time() - start, message))

        async def make() -> None:
            with send:
                try:
                    results.append(await observe_call(endpoint, arguments, observe))
                except (TypeError, ValueError) as exc:  # wrong arguments
                    results.append(Error(exc))

        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(make, name=f"<recording {call.endpoint}>")
            try:
                async for at, message in receive:
                    kept = self._cleaner.message(await outputs.kept(message))
                    self._made.add_message(call, at, kept)
                    await self._relay(event, kept)
            except Exception as exc:  # noqa: BLE001 - raised below, without the nursery's wrapping
                failures.append(exc)
                nursery.cancel_scope.cancel()
        raise_first(failures)
        result = results[0]
        if isinstance(result, Error) and not event.ended:
            refusal = _refusal_of(result.error)
            if refusal is None:
                error = f"{type(result.error).__name__}: {result.error}"
                raise RecordingError(f"recording {call.endpoint}: {error}") from result.error
            self._made.add_end(call, trio.current_time() - start, refusal)
            event.refuse(refusal_response(refusal))

    def _upstream_call(self, event: Event, client: Client) -> tuple[Endpoint, tuple[Any, ...]]:
        """Return the endpoint of the real app, and the arguments for it."""
        session = self._sessions.get(event.session_hash)
        if session is None:
            session = self._sessions[event.session_hash] = open_session(client)
        endpoint = pinned_endpoint(client, event.endpoint.fn_index, session)
        if endpoint.info.takes_stream:
            raise ValueError("it takes a stream of inputs, which a recording can't contain")
        body = event.inputs.body
        if body.get("event_data") is not None or body.get("trigger_id") is not None:
            endpoint = endpoint.with_event_data(body.get("event_data"), body.get("trigger_id"))

        def show(file: FileData) -> FileInput:
            name = file.orig_name or file.path.rsplit("/", maxsplit=1)[-1]
            return handle_file(self._storage[file.path], name, file.mime_type)

        data = replace_files(event.data, find_files(event.data, self._uploaded), show)
        slots = [parameter.place for parameter in endpoint.info.parameters]
        if slots and max(slots) >= len(data):
            raise ValueError(f"it takes {len(slots)} values, and got {len(data)}")
        return endpoint, tuple(data[place] for place in slots)


def _refusal_of(error: BaseException) -> Json | None:
    """Return the line for a call that the server refused; None if it did not refuse it."""
    response = error.response if isinstance(error, TriojobError) else None
    if response is None or not response.of_call:
        return None
    body: Any = response.text
    with suppress(ValueError):
        body = json.loads(response.text)
    line: Json = {"refused": response.status, "body": body}
    after = getattr(error, "retry_after", None)
    return line if after is None else {**line, "retry_after": after}


class _Outputs:
    """The outputs of one call, as a recording holds them: with files by their content.

    Args:
        client: The client of the real app.
        recording: Receives the files.
    """

    def __init__(self, client: Client, recording: Recording) -> None:
        registry = registry_of(client)
        assert registry is not None
        self._files = settings_of(client).outputs
        self._edits = registry.drivers.queue.traits.diffs
        self._recording = recording
        self._data: list[Any] | None = None
        """The app's last output."""
        self._kept: list[Any] | None = None
        """The last output as it is recorded, once it differs from the app's."""
        self._in_step = True
        self._keys: dict[FileData, str] = {}

    async def kept(self, message: Json) -> Json:
        """Return a message in the format of ``sse_v3``, in which files have their own paths.

        Raises:
            RecordingError: A file can't be downloaded, or is too large.
        """
        kind, output = message["msg"], message.get("output")
        if not is_object(output) or not is_list(output.get("data")):
            return message
        data: list[Any] = output["data"]
        if kind == "process_generating":
            data = await self._step(data)
        elif kind == "process_completed":
            data = await self._with_files(data)
        return {**message, "output": {**output, "data": data}}

    async def _step(self, data: list[Any]) -> list[Any]:
        """Return the data of an output of a generator: edits, after the first one."""
        before = self._data
        if before is None or not self._edits:
            self._data = data
        elif self._in_step:
            try:
                self._data = apply_data_edits(before, data)
            except EditError:  # wrong edits of Gradio: the client has to deal with them, too
                self._in_step = False
        if not self._in_step:
            return data
        assert self._data is not None
        kept = await self._with_files(self._data)
        if kept is self._data and self._kept is None and (self._edits or before is None):
            return data
        kept = list(map(settled, kept))
        last, self._kept = self._kept or before, kept
        if last is None:
            return kept
        # Whole values: edits of the app could be inside the description of a file.
        return [
            [] if old == new else [["replace", [], new]]
            for old, new in zip(map(settled, last), kept, strict=False)
        ]

    async def _with_files(self, data: list[Any]) -> list[Any]:
        """Return an output whose files have their paths in the recording."""
        places = [
            place
            for place in find_files(data, self._files.read)
            if not self._files.source.elsewhere(place[1])
        ]
        for _, file in places:
            if file not in self._keys:
                self._keys[file] = await self._download(file)
        if not places:
            return data
        found: list[Any] = replace_files(
            data, places, lambda file: file_entry(file, self._keys[file])
        )
        return found

    async def _download(self, file: FileData) -> str:
        handle = File(self._files.source, file)
        if file.is_stream:
            raise RecordingError(f"{handle!r} is streamed, and a recording can't contain streams")
        try:
            async with handle.open() as stream:
                content = b"".join([bytes(chunk) async for chunk in stream])
        except FileTooLarge as exc:
            raise RecordingError(
                f"{handle!r} is larger than the whole recording may be; max_size= sets the limit"
            ) from exc
        except TriojobError as exc:
            raise RecordingError(f"{handle!r} can't be downloaded: {exc}") from exc
        return self._recording.add_file(handle.name, content)
