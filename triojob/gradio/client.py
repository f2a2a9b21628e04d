"""`Client` and `ClientSession`."""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import trio

from .._core.group import JobGroup
from .._core.instruments import Instrument
from .._core.lifetime import NurseryUnwrapper, SingleUse
from .._core.runs import require_task
from .._exceptions import ClientClosed
from .._secrets import Secrets
from .call import CallSettings
from .endpoint import Endpoint, Via
from .files.download import Folder
from .files.file import FileSource
from .files.outputs import OutputFiles
from .http.client import HTTP, HTTPClient, HTTPTransport
from .http.settings import Limits, Timeouts
from .http.urls import check_headers
from .protocol.registry import make_drivers
from .schema.app import AppInfo, EndpointInfo, FilesAs
from .schema.discovery import discover, is_login
from .session.heartbeat import open_heartbeats
from .session.registry import SessionRegistry
from .session.restart import AppWatch
from .session.session import Session
from .spaces.names import Source, read_source
from .spaces.tokens import Token, find_token, make_token, oauth_token_for, space_headers
from .surface import Surface

if TYPE_CHECKING:
    from .spaces.resolve import Connecting
    from .spaces.stages import SpaceStatus
    from .statistics import ClientStatistics

_DEFAULT_STREAMS, _DEFAULT_TRANSFERS = 256, 8
_OWN_CLIENT_STREAMS, _OWN_CLIENT_TRANSFERS, _OWN_CLIENT_HEARTBEATS = 32, 4, 4
"""For a caller's own httpx client: these and the short requests add up to httpx's default pool."""


@final
class ClientSession(Surface):
    """A separate session, with its own ``gr.State``; `Client.session` opens it.

    Its endpoints are pinned to it.  They include the endpoints that a ``gr.render`` of the app has
    created in this session, see `RenderUpdate`; a later run of the same render replaces them.
    Any number of calls can be in flight in it, over one event stream.
    Gradio's way of cancelling stops all calls of a function in a session.  So a cancelled job ends
    at once in your program, and the cancel request is sent as soon as no other call of that
    function is in flight in this session, or when the session ends.
    """

    def __init__(self, client: Client, session: Session, group: JobGroup) -> None:
        self._client = client
        self._session = session
        self._group = group

    def _own_group(self) -> JobGroup:
        return self._group

    def _find(self, api_name: str | None, fn_index: int | None, via: Via | None) -> Endpoint:
        return self._client._find(api_name, fn_index, via, self._session)


@final
class Client(Surface, SingleUse):
    """A Gradio app: ``async with Client(url) as client``.

    Entering reads the app's description; leaving waits for the jobs of `submit`.
    If the body raises, the jobs are cancelled and the exception is raised as it is, not in a group.

    Args:
        src: The app's URL, such as ``"http://127.0.0.1:7860"``; or a Hugging Face Space, by its
            name ``"owner/name"`` or by the URL of its page on the hub.
        auth: User name and password, for an app that requires a login.
        headers: Sent with each request to this app.
        cookies: Sent with each request to this app.
        verify: Whether to verify the server's TLS certificate, or the TLS settings to use.
        timeouts: How long each phase of a request can take.
        limits: How much the client does at once, and how much it accepts from the server.
        download_files: What to do with files in outputs.  True: download each file before the
            output that shows it, which then contains the path of the copy (`str`), in a folder that
            only this user can read, among the system's temporary files.  A path: the same, under
            that folder.  False: outputs contain `File` objects, and no file is downloaded
            automatically.  Downloaded files stay when the client ends.
        validate: Whether to check arguments against the app's description before sending.  False
            for apps that change a component's allowed values while they run.
        limit, history: As for `JobGroup`, for the client's own group.
        instruments: As for `JobGroup`, for the groups of the client, its sessions and streams of
            inputs.
        token: A Hugging Face token with access to the Space, or True for the token saved on this
            machine (HF_TOKEN, or by ``hf auth login``).  It is sent only to the hub and to the
            Space's own origin; with a token, a URL that does not belong to a Space is refused.
        oauth_token: A Hugging Face token for the app's code to act with on your behalf.  It is sent
            only with calls of endpoints that declare that they take one.
        hf_endpoint: The URL of the hub to look up Spaces in; None for the value of the variable
            HF_ENDPOINT, or ``"https://huggingface.co"``.
        on_wait: Called with a `SpaceStatus` after each check of a Space that is asleep or being
            built, while entering waits for it, and at the end of the wait.  It must not block.
        http_client: Your own ``httpx.AsyncClient``, which you close.  Its pool must have room for
            `Limits.streams` (by default 32 here), `Limits.transfers`, `Limits.requests` and 20 more
            connections: waiting inside the pool of httpx loses connections when a wait is
            cancelled.
        transport: Your own ``httpx.AsyncBaseTransport``.

    Raises:
        ValueError: An argument is invalid.

    Entering waits for a Space that is asleep or being built without a time limit: set one with a
    cancel scope around it, such as `trio.fail_after`.  Being cancelled ends the wait at once.

    Entering also raises `SpaceError`, `ConnectionFailed`, `AuthenticationError`, and
    `ProtocolError` or `UnexpectedResponse` if the server is not a Gradio app, or if its protocol is
    unknown to triojob.
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
        limits: Limits | None = None,
        download_files: bool | str | os.PathLike[str] = True,
        validate: bool = True,
        limit: float | None = None,
        history: int | None = None,
        instruments: Sequence[Instrument] = (),
        token: str | bool | None = None,
        oauth_token: str | None = None,
        hf_endpoint: str | None = None,
        on_wait: Callable[[SpaceStatus], object] | None = None,
        http_client: HTTPClient | None = None,
        transport: HTTPTransport | None = None,
    ) -> None:
        self._source = read_source(src, hf_endpoint, with_token=bool(token))
        self._base = self._source.url
        self._token = find_token(token)
        self._oauth_token = None if oauth_token is None else make_token(oauth_token, "oauth_token")
        space_headers(self._token, headers)  # refuses a token that is given twice
        # Logged in by cookies, as a browser is.
        self._may_be_logged_in = bool(cookies) or http_client is not None
        self._on_wait = on_wait
        if auth is not None and not is_login(auth):
            raise ValueError("auth must be a user name and a password: auth=(user, password)")
        check_headers("headers", headers)
        check_headers("cookies", cookies)
        if http_client is not None and (transport is not None or verify is not True):
            raise ValueError("set transport= and verify= in your own http_client")
        self._limits = _resolved(limits or Limits(), own_client=http_client is not None)
        self._folder: Folder | None = None
        if download_files is not False:
            self._folder = Folder(None if download_files is True else Path(download_files))
        self._settings: CallSettings | None = None
        self._timeouts = timeouts or Timeouts()
        self._http_options: dict[str, Any] = {
            "limits": self._limits,
            "heartbeats": None if http_client is None else _OWN_CLIENT_HEARTBEATS,
            "timeouts": self._timeouts,
            "headers": headers,
            "cookies": cookies,
            "verify": verify,
            "transport": transport,
            "client": http_client,
            "secrets": Secrets(),
        }
        self._auth = auth
        secrets = self._http_options["secrets"]
        secrets.add(*(() if auth is None else auth[1:]))
        secrets.add(*(t.reveal() for t in (self._token, self._oauth_token) if t is not None))
        self._validate = validate
        self._instruments = tuple(instruments)
        self._group = JobGroup(limit=limit, history=history, instruments=instruments)
        self._session_groups: list[JobGroup] = []
        self._session_watchers: list[Callable[[JobGroup], object]] = []
        """Called with the group of each session that is opened, to observe it."""
        self._registry: SessionRegistry | None = None
        self._session: Session | None = None

    @property
    def src(self) -> str:
        """The app's URL, with a slash at its end; before a Space is looked up, its page."""
        return self._base

    @property
    def limits(self) -> Limits:
        """The limits, with a number in the place of each None."""
        return self._limits

    @property
    def version(self) -> str:
        """The version of Gradio that the app runs."""
        return self.app.version

    @property
    def protocol(self) -> str:
        """The protocol that the app uses, such as ``"sse_v3"``."""
        return self.app.protocol

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The cancel scope around the body and the jobs of `submit`."""
        self._entered()
        return self._group.cancel_scope

    def _find(
        self,
        api_name: str | None,
        fn_index: int | None,
        via: Via | None,
        pinned: Session | None = None,
    ) -> Endpoint:
        def find() -> tuple[EndpointInfo, Session | None]:
            app = self.app if pinned is None else pinned.app
            info = app.find(api_name, fn_index)
            return info, pinned or (self._session if info.stateful else None)

        registry = self._entered()
        if registry.calls.closed:
            raise ClientClosed(f"the client of {self._base} has been closed")
        return Endpoint(registry, find, settings_of(self), via=via)

    def _oauth_token_for(self, info: EndpointInfo) -> str | None:
        return oauth_token_for(
            info.name,
            info.oauth_token,
            self._oauth_token,
            may_be_logged_in=self._may_be_logged_in,
        )

    def _own_group(self) -> JobGroup:
        return self._group

    def _groups(self) -> tuple[JobGroup, ...]:
        return (self._group, *self._session_groups)

    @property
    def app(self) -> AppInfo:
        """The app's description.

        Raises:
            ClientClosed: The client has not been entered.
        """
        return self._entered().watch.app

    def _entered(self) -> SessionRegistry:
        if self._registry is None:
            raise ClientClosed("enter the client first: async with Client(url) as client")
        return self._registry

    @asynccontextmanager
    async def session(
        self, *, limit: float | None = None, history: int | None = None
    ) -> AsyncGenerator[ClientSession, None]:
        """Open another session over the same connections: ``async with client.session() as s``.

        It has its own ``gr.State``, and all its calls share one event stream: any number of calls,
        of endpoints with State and without.  See `ClientSession` about cancellation in a session.
        Leaving it waits for the jobs of its `ClientSession.submit`; if the body raises, the jobs
        are cancelled and the exception is raised as it is, not in a group.

        Args:
            limit, history: As for `JobGroup`.

        Raises:
            ClientClosed: The client is not open.
            RuntimeError: The client belongs to another Trio run.
        """
        registry = self._entered()
        if registry.calls.closed:
            raise ClientClosed("the client has been closed; create a new one")
        require_task("a session of this client", registry.http.token)
        group = JobGroup(limit=limit, history=history, instruments=self._instruments)
        session = Session(registry, one_at_a_time=False)
        self._session_groups.append(group)
        for watcher in self._session_watchers:
            watcher(group)
        try:
            with NurseryUnwrapper(nurseries=1) as body:
                async with group:
                    with body.watched():
                        yield ClientSession(self, session, group)
        finally:
            self._session_groups.remove(group)
            session.end()

    def statistics(self) -> ClientStatistics:
        """Return what the client has in flight, and has done so far.

        Call it in the client's Trio run.

        Raises:
            ClientClosed: The client has not been entered.
        """
        return statistics_of(self, trio.current_time())

    def view_api(self, *, all_endpoints: bool = False) -> str:
        """Return a human-readable description of the app's endpoints.

        Args:
            all_endpoints: Include endpoints that the app hides from its documentation.
        """
        from .schema.view import describe_app

        app = self.app
        return describe_app(self._base, app, all_endpoints=all_endpoints)

    def stubs(
        self, class_name: str = "App", *, all_endpoints: bool = False, files: FilesAs | None = None
    ) -> str:
        """Return the text of a Python module with a typed method for each named endpoint.

        It has a class whose instances wrap this client, or a session of it: ``await
        App(client).translate("hello")``.  ``triojob stubs URL`` prints it.

        Args:
            class_name: The name of the class.
            all_endpoints: Include endpoints that the app hides from its documentation.
            files: The type of files in outputs: ``"path"``, the path of a copy, or ``"handle"``, a
                `File`.  None for the type that this client returns.

        Raises:
            ValueError: ``class_name`` is not a valid name, or ``files`` is invalid.
        """
        from .schema.stubs import write_module

        app = self.app
        return write_module(
            app,
            self._base,
            class_name=class_name,
            all_endpoints=all_endpoints,
            files=files or ("handle" if self._folder is None else "path"),
        )

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[None, None]:
        http = await self._open_http()
        try:
            with NurseryUnwrapper(nurseries=4) as body:
                with body.watched():
                    find_out = partial(discover, http, self._auth)
                    app = await find_out()
                    http.prefix = app.api_prefix
                    drivers = make_drivers(app.protocol, app.version, http)
                    watch = AppWatch(http, app, find_out)
                # The heartbeats end last: the app may unload a session when its calls have ended.
                async with (
                    http.streams_watch.running(watch.ask),
                    open_heartbeats(
                        http, wanted=app.wants_heartbeat, lost=watch.mark_suspect
                    ) as heartbeats,
                    trio.open_nursery() as background,
                ):
                    registry = SessionRegistry(
                        http,
                        drivers,
                        background,
                        self._timeouts,
                        self._limits,
                        heartbeats=heartbeats,
                        watch=watch,
                    )
                    self._settings = CallSettings(
                        validate=self._validate,
                        oauth_token=self._oauth_token_for,
                        outputs=OutputFiles(
                            FileSource(
                                http, self._limits.download_size or math.inf, registry.calls.open
                            ),
                            drivers.queue.traits.read_file,
                            self._folder,
                        ),
                        max_file_size=app.max_file_size,
                        instruments=self._instruments,
                    )
                    self._registry, self._session = registry, Session(registry)
                    try:
                        async with self._group:
                            with body.watched():
                                yield
                    finally:
                        await registry.aclose()
                        # The readers end now; cancel requests are shielded, and bounded in time.
                        background.cancel_scope.cancel()
        finally:
            if self._folder is not None:
                self._folder.remove_if_empty()
            await http.aclose()

    async def _open_http(self) -> HTTP:
        access = access_of(self)
        if self._source.space is not None:
            from .spaces.resolve import find_app

            self._base = await find_app(
                self._source.space,
                self._source.hub,
                self._token,
                access.connecting(),
                self._on_wait,
            )
        return access.http(self._base)

    def __repr__(self) -> str:
        if self._registry is None:
            return f"<Client {self._base} (not entered)>"
        streams = self._registry.http.streams
        state = "closed" if self._registry.calls.closed else f"{len(self.jobs)} jobs"
        return (
            f"<Client {self._base} {self.protocol} {state}, "
            f"{streams.borrowed_tokens:g}/{streams.total_tokens:g} streams>"
        )


@dataclass(frozen=True)
class Access:
    """How a client reaches its app."""

    source: Source
    token: Token | None
    auth: tuple[str, str] | None = field(repr=False)
    connecting: Callable[[], Connecting]
    """Returns the settings of requests to the hub."""
    http: Callable[[str], HTTP]
    """Returns an HTTP client for an app at a URL, which the caller closes."""


def access_of(client: Client) -> Access:
    """Return how a client reaches its app, whether it has been entered or not."""
    options = client._http_options

    def connecting() -> Connecting:
        from .spaces.resolve import Connecting

        return Connecting(
            client._timeouts,
            client._limits,
            options["verify"],
            options["transport"],
            options["client"],
        )

    def http(base: str) -> HTTP:
        # Only here, so that no attribute of the client contains the token.
        own: dict[str, Any] = {
            **options,
            "headers": space_headers(client._token, options["headers"]),
        }
        return HTTP(base, **own)

    return Access(client._source, client._token, client._auth, connecting, http)


def registry_of(client: Client) -> SessionRegistry | None:
    """Return the registry that the sessions of a client share, or None before it is entered."""
    return client._registry


def settings_of(client: Client) -> CallSettings:
    """Return the settings that the calls of an open client share."""
    assert client._settings is not None
    return client._settings


def statistics_of(client: Client, now: float | None) -> ClientStatistics:
    """Return the statistics of a client; safe to call from any thread.

    Args:
        now: The time by Trio's clock; None for no rate.

    Raises:
        ClientClosed: The client has not been entered.
    """
    from .statistics import count

    registry = client._entered()
    assert client._session is not None
    return count(registry, client._session, client._group, now)


def open_session(client: Client) -> Session:
    """Return a new session of an open client, for any number of calls; end it with the client."""
    return Session(client._entered(), one_at_a_time=False)


def pinned_endpoint(client: Client, fn_index: int, session: Session) -> Endpoint:
    """Return an endpoint whose calls use one session.

    Raises:
        EndpointNotFound: The app has no such function, not even in this session.
    """
    return client._find(None, fn_index, None, session)


def watch_sessions(client: Client, watcher: Callable[[JobGroup], object]) -> Callable[[], None]:
    """Call ``watcher`` with the group of each session that is opened from now on.

    Returns:
        A function that ends this.
    """
    client._session_watchers.append(watcher)
    return partial(client._session_watchers.remove, watcher)


def _resolved(limits: Limits, *, own_client: bool) -> Limits:
    """Return the limits with a number in the place of each None."""
    streams, transfers = _DEFAULT_STREAMS, _DEFAULT_TRANSFERS
    if own_client:
        streams, transfers = _OWN_CLIENT_STREAMS, _OWN_CLIENT_TRANSFERS
    return replace(
        limits,
        streams=limits.streams or min(streams, _affordable_streams()),
        transfers=limits.transfers or transfers,
    )


def _affordable_streams() -> int:
    """Return how many streams the process has file descriptors for, at least 1."""
    try:
        import resource
    except ImportError:  # Windows, whose limit is far higher
        return _DEFAULT_STREAMS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _DEFAULT_STREAMS
    # Half is for the rest of the program, and some for the short requests.
    return max(1, soft // 2 - 64)
