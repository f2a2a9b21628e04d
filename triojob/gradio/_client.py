"""The client of one app, its endpoints and its sessions."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, TypeAlias, final

import trio
from outcome import Error, Outcome

from .._call import Call, Submittable
from .._errors import (
    AuthenticationError,
    GroupClosed,
    JobCancelled,
    UnexpectedResponse,
    parts,
    short_repr,
    shorten,
)
from .._group import JobGroup
from .._job import Job, JobRecord
from .._messages import Status, StatusUpdate
from .._settings import Timeouts
from ._config import AppInfo, EndpointInfo
from ._drivers import CallDriver, CallRequest, StreamDriver, make_drivers, refusal
from ._event import EventTranslator
from ._http import HTTP, HTTPClient, HTTPTransport, is_json, parse_url
from ._session import Delivery, Hub, Session
from ._view import describe_app
from ._wire import Json, decode_object

Via: TypeAlias = Literal["queue", "run", "call"]
"""A way that calls take."""

_DEFAULT_STREAMS = 256
_OWN_CLIENT_STREAMS = 32
"""For a caller's own httpx client: with the short requests, what httpx's default pool has."""


class _RemoteCall(Call):
    """A call of an endpoint whose arguments are checked and encoded."""

    def __init__(
        self,
        hub: Hub,
        info: EndpointInfo,
        session: Session | None,
        driver: StreamDriver | CallDriver,
        data: str,
    ) -> None:
        self.name = info.name
        self._hub = hub
        self._info = info
        self._session = session
        self._driver = driver
        self._data = data

    async def run(self, record: JobRecord) -> Outcome[Any]:
        info = self._info
        translator = EventTranslator(
            info.name,
            streams=info.streams,
            edits=self._driver.edits,
            present=info.present,
            reporter=record.reporter,
        )
        request = CallRequest(
            info.name, info.fn_index, info.api_name, self._data, info.canceller, info.streams
        )
        delivery = Delivery(record.number, request, self._driver, translator)
        result: Outcome[Any] | None = None
        with trio.CancelScope() as scope, self._hub.call(scope):
            try:
                session = self._session or self._hub.take_lane()
                await session.send(delivery)
                record.reporter.status(StatusUpdate(Status.JOINING_QUEUE))
                result = await record.receive()
            finally:
                if not translator.finished:
                    delivery.abandon()
        if result is None:
            # Only the client's end cancels the scope of the call.
            record.cancelled = True
            error = JobCancelled(f"{info.name} was cancelled", reason="the client was closed")
            result = Error(error)
        return result


def _route(hub: Hub, info: EndpointInfo, via: Via | None) -> tuple[Via, StreamDriver | CallDriver]:
    # The answer to /run has only the first output of a generator.
    usual: Via = "queue" if info.queued or info.streams else "run"
    chosen = via or usual
    ways: dict[Via, StreamDriver | CallDriver] = {
        "queue": hub.drivers.queue,
        "run": hub.drivers.run,
        "call": hub.drivers.call,
    }
    driver = ways.get(chosen)
    if driver is None:
        raise ValueError(f'via is "queue", "run" or "call", not {short_repr(via)}')
    if chosen == "call" and info.api_name is None:
        raise ValueError(f'{info.name} has no name, so it can\'t be called via="call"')
    return chosen, driver


@final
class Endpoint(Submittable):
    """One endpoint of an app: an async callable with the app's own parameters.

    ``await endpoint(...)`` calls it; ``group.submit(endpoint, ...)`` makes a job of a call.
    `inspect.signature` shows what it takes.  `Client.endpoint` makes it.

    Cancelling a call, by whatever scope, stops it on the server too.
    """

    def __init__(
        self,
        hub: Hub,
        info: EndpointInfo,
        session: Session | None,
        *,
        validate: bool,
        via: Via | None = None,
    ) -> None:
        self._hub = hub
        self._via: Via
        self._via, self._driver = _route(hub, info, via)
        self._info = info
        self._session = session
        self._validate = validate
        self.__name__ = info.name
        self.__doc__ = info.description
        self.__signature__ = info.signature

    @property
    def name(self) -> str:
        """The endpoint's name, such as ``"/predict"``, or ``"fn_index 3"`` if it has none."""
        return self._info.name

    @property
    def api_name(self) -> str | None:
        """The endpoint's name, or None if it has none."""
        return self._info.api_name

    @property
    def fn_index(self) -> int:
        """The server's number for the function."""
        return self._info.fn_index

    @property
    def via(self) -> Via:
        """The way that its calls take; see `Client.endpoint`."""
        return self._via

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """Check and encode the arguments of a call; nothing is sent."""
        if self._hub.closed:
            raise GroupClosed(f"the client of {self.name} has been closed")
        if self._session is not None and self._session.ended:
            raise GroupClosed(f"the session that {self.name} is pinned to has ended")
        data = self._info.encode(args, kwargs, validate=self._validate)
        return _RemoteCall(self._hub, self._info, self._session, self._driver, data)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the endpoint; return its result: a tuple if it has several outputs.

        Raises:
            TypeError, ValueError: An argument is wrong or missing; nothing was sent.
            AppError: The app raised.
            ValidationError: The app's validator refused the input.
            QueueFull: The app's queue is full.
            ConnectionLost: The network failed; see its subclasses.
            ProtocolError: The server sent what can't be.
            JobCancelled: The server cancelled the call, or the client was closed.

        Being cancelled ends the call here at once and stops it on the server, in the background.
        """
        call = self.bind(args, kwargs)
        # Nobody can ask for its outputs, so it keeps none.
        record = JobRecord(call.name, 0)
        await record.run(call)
        try:
            return record.unwrap()
        finally:
            # The traceback of what is raised holds this frame, which must not hold the record.
            del record

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}({', '.join(self._info.signature.parameters)})>"


class _Surface(ABC):
    """What clients and sessions have in common: endpoints, and a group of their own."""

    @abstractmethod
    def endpoint(
        self,
        api_name: str | None = None,
        *,
        fn_index: int | None = None,
        via: Via | None = None,
    ) -> Endpoint:
        """Return one endpoint of the app; see `Client.endpoint`."""

    @abstractmethod
    def _own_group(self) -> JobGroup: ...

    @property
    def jobs(self) -> tuple[Job[Any], ...]:
        """The jobs of this group that wait or run, and those whose failure nobody has seen."""
        return self._own_group().jobs

    def submit(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        **kwargs: Any,
    ) -> Job[Any]:
        """Start a call of an endpoint as a job; return it at once.

        The job lives in this object's own group: leaving its ``async with`` waits for it.

        Args:
            api_name, fn_index: Which endpoint; see `endpoint`.

        Raises:
            EndpointNotFound: There is no such endpoint.
            TypeError, ValueError: An argument is wrong or missing.
            GroupClosed: This is not open.
        """
        endpoint = self.endpoint(api_name, fn_index=fn_index)
        return self._own_group().submit(endpoint, *args, **kwargs)

    async def predict(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call an endpoint and return its result; see `endpoint` and `Endpoint.__call__`."""
        return await self.endpoint(api_name, fn_index=fn_index)(*args, **kwargs)


@final
class ClientSession(_Surface):
    """A session of its own, with its own ``gr.State``; `Client.session` opens it.

    Any number of calls may be under way in it, over one event stream.
    Gradio's way of cancelling stops all calls of a function in a session, so here a cancelled job
    ends at once on this side, and the server is told as soon as no other call of that function is
    under way in this session, or when the session ends.
    """

    def __init__(self, client: Client, session: Session, group: JobGroup) -> None:
        self._client = client
        self._session = session
        self._group = group

    def _own_group(self) -> JobGroup:
        return self._group

    def endpoint(
        self,
        api_name: str | None = None,
        *,
        fn_index: int | None = None,
        via: Via | None = None,
    ) -> Endpoint:
        """Return one endpoint, pinned to this session; see `Client.endpoint`."""
        return self._client._endpoint(api_name, fn_index, via, self._session)


@final
class Client(_Surface):
    """A Gradio app: ``async with Client(url) as client``.

    Entering finds out what the app offers; leaving waits for the jobs of `submit`.
    If the body raises, its exception passes through bare, and the jobs are cancelled.

    Args:
        src: The app's URL, such as ``"http://127.0.0.1:7860"``.
        auth: User name and password for an app that asks for them.
        headers: Sent with each request to this app.
        cookies: Sent with each request to this app.
        verify: Whether to verify the server's TLS certificate, or the TLS settings to use.
        timeouts: How long each phase of talking to the server may take.
        max_streams: How many event streams may be open at once, at most.  A call of a function
            without ``gr.State`` has one to itself; more calls than that wait here, with status
            STARTING.  None for 256, or fewer where the process may open fewer files.
        max_message_size: How many bytes one message or answer of the server may have.
        validate: Whether arguments are checked against the app's description before sending.
            False for apps that change what a component allows while they run.
        limit, history: As for `JobGroup`, for the client's own group.
        http_client: Your own ``httpx.AsyncClient``, which you close.  Its pool must have room for
            ``max_streams`` (by default 32 here) and 64 connections more: waiting inside the pool
            of httpx loses connections when a wait is cancelled.
        transport: Your own ``httpx.AsyncBaseTransport``.

    Raises:
        ValueError: An argument makes no sense.

    On entering, also: `ConnectionFailed`, `AuthenticationError`, and `ProtocolError` or
    `UnexpectedResponse` for what is no Gradio app, or one of a kind that triojob doesn't know.
    """

    def __init__(
        self,
        src: str,
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        verify: bool | ssl.SSLContext = True,
        timeouts: Timeouts | None = None,
        max_streams: int | None = None,
        max_message_size: int = 64 * 2**20,
        validate: bool = True,
        limit: float | None = None,
        history: int | None = None,
        http_client: HTTPClient | None = None,
        transport: HTTPTransport | None = None,
    ) -> None:
        self._base = parse_url(src)
        if http_client is not None and (transport is not None or verify is not True):
            raise ValueError("transport= and verify= are settings of your own http_client")
        if max_streams is None:
            most = _DEFAULT_STREAMS if http_client is None else _OWN_CLIENT_STREAMS
            max_streams = min(most, _affordable_streams())
        if max_streams < 1:
            raise ValueError(f"max_streams must be 1 or more, not {max_streams}")
        if max_message_size < 1:
            raise ValueError(f"max_message_size must be 1 byte or more, not {max_message_size}")
        self._timeouts = timeouts or Timeouts()
        self._http_options: dict[str, Any] = {
            "streams": max_streams,
            "timeouts": self._timeouts,
            "max_message_size": max_message_size,
            "headers": headers,
            "cookies": cookies,
            "verify": verify,
            "transport": transport,
            "client": http_client,
        }
        self._auth = auth
        self._validate = validate
        self._group = JobGroup(limit=limit, history=history)
        self._lifetime: AbstractAsyncContextManager[None] | None = None
        self._app: AppInfo | None = None
        self._hub: Hub | None = None
        self._session: Session | None = None

    @property
    def src(self) -> str:
        """The app's URL, with a slash at its end."""
        return self._base

    @property
    def max_streams(self) -> int:
        """How many event streams may be open at once."""
        streams: int = self._http_options["streams"]
        return streams

    @property
    def version(self) -> str:
        """The version of Gradio that the app runs."""
        return self._opened().version

    @property
    def protocol(self) -> str:
        """The protocol that the app speaks, such as ``"sse_v3"``."""
        return self._opened().protocol

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The cancel scope around the body and the jobs of `submit`."""
        return self._group.cancel_scope

    def endpoint(
        self,
        api_name: str | None = None,
        *,
        fn_index: int | None = None,
        via: Via | None = None,
    ) -> Endpoint:
        """Return one endpoint of the app.

        A call of an endpoint without ``gr.State`` harms no other when it is cancelled.
        Calls of one with it share this client's session, where Gradio can't cancel one of several
        calls of a function; so they are made one at a time.  See `session` for the other way.

        Args:
            api_name: Its name, with or without the slash.  None for the only one there is, or
                for ``"/predict"``.
            fn_index: Its number instead, for one that has no name.
            via: Which way its calls take: ``"queue"``, the app's queue, with status, progress,
                all outputs and cancellation; ``"run"``, one request whose answer is the
                output; ``"call"``, Gradio's simple API (4.20 and later), with whole outputs and
                cancellation, without status.  None for the queue, or ``"run"`` for a function
                that the app has outside the queue (``queue=False``) and that is no generator.

        Raises:
            EndpointNotFound: There is none; the error lists what there is.
            GroupClosed: The client is not open.
            ValueError: ``via`` is something else.
        """
        return self._endpoint(api_name, fn_index, via, None)

    def _endpoint(
        self,
        api_name: str | None,
        fn_index: int | None,
        via: Via | None,
        pinned: Session | None,
    ) -> Endpoint:
        info = self._opened().find(api_name, fn_index)
        assert self._hub is not None
        session = pinned or (self._session if info.stateful else None)
        return Endpoint(self._hub, info, session, validate=self._validate, via=via)

    def _own_group(self) -> JobGroup:
        return self._group

    def _opened(self) -> AppInfo:
        if self._app is None:
            raise GroupClosed("enter the client first: async with Client(url) as client")
        return self._app

    @asynccontextmanager
    async def session(
        self, *, limit: float | None = None, history: int | None = None
    ) -> AsyncGenerator[ClientSession, None]:
        """Open another session over the same connections: ``async with client.session() as s``.

        It has ``gr.State`` of its own, and all its calls ride on one event stream: any number of
        them, of endpoints with State and without.  See `ClientSession` on cancelling there.
        Leaving it waits for the jobs of its `ClientSession.submit`; if the body raises, they are
        cancelled and its exception passes through bare.

        Args:
            limit, history: As for `JobGroup`.
        """
        self._opened()
        hub = self._hub
        assert hub is not None
        session = Session(hub, one_at_a_time=False)
        try:
            with _BareBody() as body:
                async with JobGroup(limit=limit, history=history) as group:
                    with body.watched():
                        yield ClientSession(self, session, group)
        finally:
            session.end()

    def view_api(self, *, all_endpoints: bool = False) -> str:
        """Return a description of the app's endpoints, for people.

        Args:
            all_endpoints: Include those that the app does not show in its documentation.
        """
        app = self._opened()
        names = app.names(all_endpoints=all_endpoints)
        return describe_app(self._base, app, [app.find(name, None) for name in names])

    async def __aenter__(self) -> Client:
        if self._lifetime is not None:
            raise GroupClosed("a Client can be entered only once; make another one")
        self._lifetime = self._live()
        await self._lifetime.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._lifetime is not None
        return await self._lifetime.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[None, None]:
        http = HTTP(self._base, **self._http_options)
        try:
            with _BareBody(nursery=True) as body:
                with body.watched():
                    app = await _discover(http, self._auth)
                    http.prefix = app.api_prefix
                    drivers = make_drivers(app.protocol, http)
                async with trio.open_nursery() as background:
                    hub = Hub(http, drivers, background, self._timeouts)
                    self._app, self._hub, self._session = app, hub, Session(hub)
                    try:
                        async with self._group:
                            with body.watched():
                                yield
                    finally:
                        await hub.aclose()
                        # The readers end now; goodbyes are shielded, and bounded.
                        background.cancel_scope.cancel()
        finally:
            await http.aclose()

    def __repr__(self) -> str:
        if self._app is None:
            return f"<Client {self._base} (not entered)>"
        assert self._hub is not None
        streams = self._hub.http.streams
        state = "closed" if self._hub.closed else f"{len(self.jobs)} jobs"
        return (
            f"<Client {self._base} {self._app.protocol} {state}, "
            f"{streams.borrowed_tokens:g}/{streams.total_tokens:g} streams>"
        )


class _BareBody:
    """Hides the nurseries of a context manager: lets the exception of its body through bare.

    Args:
        nursery: Whether there is a nursery around the job group.
    """

    def __init__(self, *, nursery: bool = False) -> None:
        self._nursery = nursery
        self._raised: BaseException | None = None

    def watched(self) -> _Watched:
        return _Watched(self)

    def __enter__(self) -> _BareBody:  # noqa: PYI034 - `Self` is not in the typing of 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        bare, self._raised = self._raised, None
        inner = exc
        while inner is not None and inner is not bare and len(inside := parts(inner)) == 1:
            inner = inside[0]
        if bare is None or inner is not bare:
            # The jobs' failures, in the group of the job group.
            inner = exc
            if exc is not None and self._nursery and len(inside := parts(exc)) == 1:
                inner = inside[0] if parts(inside[0]) else exc
        if inner is None or inner is exc:
            return
        context = inner.__context__
        try:
            raise inner
        finally:
            # Python has just noted the group that was being handled, which is of no interest.
            inner.__context__ = context
            # The traceback holds this frame, which must not hold the exception.
            del bare, inner, exc, context


class _Watched:
    """The body whose exception `_BareBody` lets through."""

    def __init__(self, outer: _BareBody) -> None:
        self._outer = outer

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._outer._raised = exc


async def _discover(http: HTTP, auth: tuple[str, str] | None) -> AppInfo:
    if auth is not None:
        await _log_in(http, auth)
    config = await _get_json(http, "config", root=True)
    prefix = config.get("api_prefix")
    http.prefix = prefix if isinstance(prefix, str) else ""
    try:
        info = await _get_json(http, "/info?all_endpoints=True", root=False)
    except UnexpectedResponse as exc:
        if exc.status != 404:
            raise
        # Before 3.36 there was none; /config says enough to call functions by place.
        info = Json(named_endpoints={})
    return AppInfo(config, info)


async def _get_json(http: HTTP, path: str, *, root: bool) -> Json:
    response = await http.request("GET", path, root=root, limiter=http.requests)
    doing = f"reading /{path.strip('/').partition('?')[0]}"
    if response.status != 200:
        raise refusal(response, doing, "")
    if not is_json(response):
        raise UnexpectedResponse(
            f"{doing}: this is no Gradio app, or not its URL: the answer is "
            f"{response.content_type or 'of no type'}: {shorten(response.body)}",
            status=response.status,
        )
    return decode_object(response.body, f"the answer to {doing}")


async def _log_in(http: HTTP, auth: tuple[str, str]) -> None:
    username, password = auth
    response = await http.request(
        "POST",
        "login",
        form={"username": username, "password": password},
        root=True,
        limiter=http.requests,
    )
    if response.status == 400:
        raise AuthenticationError(f"the app refused the login of user {username!r}")
    # An app that asks for no login redirects to itself.
    if response.status >= 400:
        raise refusal(response, "logging in", "")


def _affordable_streams() -> int:
    """Return for how many streams the process has file descriptors to spare, at least 1."""
    try:
        import resource
    except ImportError:  # Windows, whose limit is far above ours
        return _DEFAULT_STREAMS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _DEFAULT_STREAMS
    # Half for the rest of the program, and some for the short requests.
    return max(1, soft // 2 - 64)
