"""An app with the description of another one, whose messages it relays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from ..._exceptions import TriojobError
from ...gradio.files.data import find_files, replace_files
from ...gradio.files.inputs import META
from ...gradio.protocol.diff import EditError, settled
from ...gradio.protocol.file_marks import FileData, file_data
from ...gradio.protocol.messages import Json, app_error, data_of, is_list, is_object
from ...gradio.protocol.translator import apply_data_edits
from ...gradio.schema.app import AppInfo, EndpointInfo
from .._calls import Call
from .._served import ServedApp
from .._server.description import App, AppEndpoint
from .._server.event import Event
from .._server.http import ServerResponse
from .cleaning import restored, with_urls
from .recording import Recording


class DescribedApp(App):
    """The description that a relay serves.

    Args:
        app: The original description.
        script: Relays the messages of a call.
    """

    def __init__(self, app: AppInfo, script: Callable[[Event], Awaitable[None]]) -> None:
        super().__init__(
            title=app.title,
            version=app.version,
            api_prefix=app.api_prefix,
            max_file_size=app.max_file_size,
        )
        self._app = app
        self._script = script
        for place, dependency in enumerate(app.config["dependencies"]):
            name, fn_index = dependency.get("api_name"), dependency.get("id", place)
            self._add(fn_index, name if isinstance(name, str) else None)

    def _add(self, fn_index: int, name: str | None) -> AppEndpoint:
        endpoint = AppEndpoint(fn_index, name, (), (), self._script, relayed=True)
        self.endpoints.append(endpoint)
        return endpoint

    def find(self, fn_index: int) -> AppEndpoint | None:
        """Return the endpoint with a number: a ``gr.render`` can make one of any number."""
        return super().find(fn_index) or self._add(fn_index, None)

    def config(self, url: str, *, username: str | None = None) -> Json:
        """Build the response to GET /config."""
        # Functions outside of the queue are called through it too.
        dependencies = [{**item, "queue": True} for item in self._app.config["dependencies"]]
        return {
            **self._app.config,
            "dependencies": dependencies,
            "protocol": self.protocol,
            "enable_queue": True,
            "app_id": self.app_id,
            "username": username,
            "root": url,
        }

    def info(self, *, all_endpoints: bool = False) -> Json:
        """Return the response to GET /info."""
        return self._app.info if all_endpoints else self._app.public_info


class RelayedCall:
    """A call whose messages are relayed, and what the app logs of it.

    Args:
        call: The entry in the app's log.
        info: The description of its endpoint; None for a function of a ``gr.render``.
        request: Its arguments and event data, as a recording holds them.
    """

    def __init__(self, call: Call, info: EndpointInfo | None, request: Json) -> None:
        self.call = call
        self.info = info
        self.request = request
        self._data: list[Any] | None = None

    @property
    def is_stateful(self) -> bool:
        """Whether its outputs depend on the session."""
        return self.info is None or self.info.stateful

    def log(self, message: Json) -> None:
        """Add the output or the failure of a message to the app's log."""
        kind = message["msg"]
        if kind == "process_completed" and message.get("success") is False:
            self.call.exception = app_error(message, self.call.endpoint)
        elif kind in ("process_generating", "process_completed"):
            data = data_of(message)
            if data is None:
                return
            is_first = self._data is None
            if kind == "process_generating" and self._data is not None:
                try:
                    data = apply_data_edits(self._data, data)
                except EditError:  # wrong edits of Gradio; the last message has the whole output
                    return
            self._data = data
            # The last message repeats the last yield.
            if kind == "process_generating" or is_first:
                values = list(map(settled, data))
                self.call.outputs.append(values if self.info is None else self.info.present(values))


class RelayingApp(ServedApp):
    """An app whose description and messages come from another app, or from a recording."""

    def __init__(self) -> None:
        super().__init__()
        self._recording: Recording | None = None
        """The recording that is made or played, while the app runs."""
        self._requests: dict[Event, tuple[EndpointInfo | None, Json]] = {}
        self._relayed: dict[Event, RelayedCall] = {}
        self._problems: list[Exception] = []
        """What the end of the run raises, unless its body raises."""

    @abstractmethod
    def _came(self, event: Event, relayed: RelayedCall) -> None:
        """Handle a new call, in the order of their arrival."""

    def _forget(self) -> None:
        super()._forget()
        self._relayed = {}
        self._problems = []

    def _joined(self, event: Event) -> None:
        super()._joined(event)
        info, request = self._requests.pop(event)
        relayed = RelayedCall(self._calls_by_event[event], info, request)
        self._relayed[event] = relayed
        self._came(event, relayed)
        if info is not None and not (info.queued or info.streams):
            # The app sends nothing before the end of a function that it runs outside of its queue.
            event.admit()

    def _arguments_of(self, event: Event) -> dict[str, Any]:
        self._requests[event] = self._request_of(event)
        return dict(self._requests[event][1]["arguments"])

    def _request_of(self, event: Event) -> tuple[EndpointInfo | None, Json]:
        assert self._recording is not None
        try:
            info = self._recording.app.find(None, event.endpoint.fn_index)
        except TriojobError:
            info = None  # a function of a gr.render
        data = self._by_content(event.data)
        if info is None:
            arguments = {str(place): value for place, value in enumerate(data)}
        else:
            arguments = {
                parameter.name: data[parameter.place]
                for parameter in info.parameters
                if parameter.place < len(data)
            }
        request: Json = {"arguments": arguments}
        for key in ("event_data", "trigger_id"):
            if event.inputs.body.get(key) is not None:
                request[key] = event.inputs.body[key]
        return info, request

    def _uploaded(self, value: Json) -> FileData | None:
        """Return the file of this app that an object in arguments represents."""
        file = file_data(value, value.get("path"))
        return file if file is not None and file.path in self._storage else None

    @property
    def _storage(self) -> dict[str, bytes]:
        return self._running().storage.files

    def _by_content(self, data: list[Any]) -> list[Any]:
        """Return arguments in which files have their paths in the recording."""
        recording = self._recording
        assert recording is not None

        def show(file: FileData) -> Json:
            name = file.orig_name or file.path.rsplit("/", maxsplit=1)[-1]
            return {"path": recording.key_of(name, self._storage[file.path]), "meta": META}

        places = find_files(data, self._uploaded)
        found: list[Any] = replace_files(data, places, show) if places else data
        return found

    async def _relay(self, event: Event, recorded: Json) -> None:
        """Send a message of a recording.

        Raises:
            Abandoned: The client has disconnected.
        """
        assert self._recording is not None
        message = restored(recorded)
        output = message.get("output")
        if is_object(output) and is_list(output.get("data")):
            data = with_urls(output["data"], self._recording.files, self._url_of)
            message["output"] = {**output, "data": data}
        self._relayed[event].log(message)
        if message["msg"] != "estimation":
            self._begun()
        await event.relay(message)

    def _url_of(self, key: str) -> tuple[str, str]:
        """Return the path and the URL of a file of the recording, and serve it."""
        assert self._recording is not None
        server = self._running()
        path = f"/recorded/{key}"
        self._storage[path] = self._recording.files[key]
        return path, f"{server.url}{server.app.api_prefix}/file={quote(path)}"


def refusal_response(line: Json) -> ServerResponse:
    """Return the response for a refusal of a recording."""
    after = line.get("retry_after")
    headers = [] if after is None else [("retry-after", f"{after:g}")]
    return ServerResponse(line["refused"], line["body"], headers)
