"""The client for threads and plain scripts, with the interface of gradio_client."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, final

import httpx

from .. import _exceptions
from ..gradio.client import Client as TrioClient
from ..gradio.http.settings import Limits, Timeouts
from ..gradio.spaces.duplicate import duplicate
from ..gradio.spaces.names import is_space_id
from ..gradio.spaces.stages import SpaceStatus
from ..gradio.spaces.tokens import may_use_saved_token
from ._arguments import bind_arguments, with_files
from ._entry import RunEntry
from ._job import Job, end_of
from ._open_client import OpenClient
from ._portal import Portal, entry_of, shared_portal
from ._view import describe, public_info
from ._waiting import refuse_in_trio
from .exceptions import AuthenticationError, translate
from .utils import Status, StatusUpdate

__all__ = ["Client", "Job"]

_LONG_WAIT = 30
"""Minimum estimate, in seconds, that a verbose client prints."""

_LIMITS = Limits(message_size=2**30)
"""The default limits: gradio_client does not bound the messages that it receives."""

_TEMP_DIR = os.environ.get("GRADIO_TEMP_DIR") or True
"""The default folder for files; read when this module is imported, as in gradio_client."""

_NOT_FOR_HTTPX = {
    "verify": "use ssl_verify=",
    "headers": "use headers=",
    "limits": "use limits=",
    "base_url": "src is the app's URL",
    "max_redirects": "no redirect is followed",
    "default_encoding": "Gradio sends UTF-8",
}


@final
class Client:
    """A Gradio app, for code that doesn't run in Trio: ``client = Client(url)``.

    It is open from the start, until `close`, the end of a ``with`` block, or the end of the
    process.  Any number of threads can use it at once.
    Calls with ``gr.State`` run in one shared session; so do other calls while no call of the
    same function is in flight there, otherwise they run in a session of their own.

    Args:
        src: The app's URL, or the name of a Hugging Face Space, ``"owner/name"``.
        token: A Hugging Face token with access to the Space.  None for the one saved on this
            machine, if there is one; it is sent to Spaces only.
        max_workers: How many calls run at once; the others wait.
        verbose: Whether to print what the client is doing.
        auth: User name and password for an app with a login.
        httpx_kwargs: Options for httpx: ``timeout``, ``cookies``, ``proxy``, ``auth``,
            ``params``, ``trust_env`` and other arguments of `httpx.AsyncClient`.  Options that
            can't be honored are refused, such as ``follow_redirects=True``.
        headers: Sent with each request to this app.
        download_files: Where to put files of outputs: a folder; or True for the folder in the
            environment variable GRADIO_TEMP_DIR, else one that only this user can read.  False:
            outputs contain the server's descriptions of the files.
            GRADIO_TEMP_DIR is read when this module is imported.
        ssl_verify: Whether to verify the server's TLS certificate.
        analytics_enabled: Has no effect: there is no telemetry.
        oauth_token: A Hugging Face token with which the app's code acts on your behalf; it is sent
            with calls of endpoints that declare that they take one.
        limits: Bounds on concurrency and on data from the server, see `triojob.Limits`.  None for
            its defaults, but messages of up to 1 GiB.
        portal: The portal into the Trio run that does the work, see `start_portal` and
            `open_portal`.  None for a background thread, which all clients share.

    Raises:
        ValueError: An argument is invalid.
        TypeError: ``httpx_kwargs`` has an option that has its own argument here.
        AuthenticationError: The app requires a login, or refused this one.
        SpaceError: The Space can't be used.
        TooManyRequestsError: The server limits the rate of requests.
        NetworkError: The network failed.
        ProtocolError, UnexpectedResponse: This is not a Gradio app.
        RuntimeError: This would block a thread that Trio runs in.
    """

    def __init__(
        self,
        src: str,
        token: str | None = None,
        max_workers: int = 40,
        verbose: bool = False,
        auth: tuple[str, str] | None = None,
        httpx_kwargs: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        download_files: str | os.PathLike[str] | bool | None = True,
        ssl_verify: bool = True,
        analytics_enabled: bool = True,
        oauth_token: str | None = None,
        limits: Limits | None = None,
        portal: Portal | None = None,
    ) -> None:
        refuse_in_trio("making this client", "use `async with triojob.Client(...)`")
        self.verbose: bool = verbose
        self.space_id: str | None = src if is_space_id(src) else None
        """The name of the Space, or None for a URL."""
        self.max_workers: int = max_workers
        self._headers = {name.lower() for name in headers or {}}
        self._own_portal = portal
        self._make = partial(
            _make,
            src=src,
            token=token,
            max_workers=max_workers,
            verbose=verbose,
            auth=auth,
            httpx_kwargs=dict(httpx_kwargs or {}),
            headers=headers,
            download_files=download_files,
            ssl_verify=ssl_verify,
            oauth_token=oauth_token or None,
            limits=limits or _LIMITS,
        )
        self._open_client = self._open()
        self._reopened: dict[int, OpenClient] = {}
        """The clients that replace it in forked processes, by process."""
        if verbose:
            print(f"Loaded as API: {self.src}")

    def _open(self) -> OpenClient:
        portal = self._own_portal or shared_portal()
        open_client = self._make(entry_of(portal))
        # Before it is open, because an interrupt can come next.  Not at the interpreter's end: the
        # portal does that.
        weakref.finalize(self, open_client.close_soon, waiting=True).atexit = False
        try:
            portal.call(open_client.open)
        except _exceptions.AuthenticationError as exc:
            raise _not_logged_in(exc, open_client.src, self._make.keywords["auth"]) from None
        except _exceptions.UnexpectedResponse as exc:
            raise _unexpected_response(exc, open_client.src) from exc.__cause__
        except _exceptions.TriojobError as exc:
            raise translate(exc, opening=True) from exc.__cause__
        except BaseException:
            # Interrupted, possibly just after it was opened.
            open_client.close_soon(waiting=False)
            raise
        return open_client

    def _of_this_process(self) -> OpenClient:
        if self._open_client.forked:
            # The connections belong to the process that made them; this process makes its own.
            mine = self._open()
            self._open_client = self._reopened.setdefault(os.getpid(), mine)
            if self._open_client is not mine:  # another thread was faster
                mine.close_soon(waiting=False)
        return self._open_client

    # The app's description.

    @property
    def src(self) -> str:
        """The app's URL, with a slash at its end."""
        return self._open_client.src

    @property
    def config(self) -> dict[str, Any]:
        """The app's ``/config``; treat it as read-only."""
        return self._open_client.app.config

    @property
    def protocol(self) -> str:
        """The protocol that the app speaks, such as ``"sse_v3"``."""
        return self._open_client.app.protocol

    @property
    def app_version(self) -> str:
        """The version of Gradio that the app runs."""
        return self._open_client.app.version

    @property
    def session_hash(self) -> str:
        """The session's name on the server; anybody who knows it can cancel the session's calls."""
        return self._open_client.session_hash

    def view_api(
        self,
        all_endpoints: bool | None = None,
        print_info: bool = True,
        return_format: Literal["dict", "str"] | None = None,
    ) -> dict[str, Any] | str | None:
        """Print the description of the app's endpoints, or return it.

        Args:
            all_endpoints: Whether to print unnamed endpoints too; None to print them only if there
                are only unnamed ones.
            print_info: Whether to print.
            return_format: ``"str"`` to return the printed text; ``"dict"`` to return the
                app's own description of all its endpoints; None to return nothing.
        """
        info = public_info(self._open_client.app)
        text = describe(info, all_endpoints=all_endpoints)
        if print_info:
            print(text)
        if return_format == "str":
            return text
        return info if return_format == "dict" else None

    # Calls.

    def predict(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call an endpoint and wait for its result; see `submit`.

        Interrupting the wait, by Ctrl-C or by a cancellation, cancels the call.

        Returns:
            The result, a tuple if the endpoint has several outputs.

        Raises:
            AppError, ValidationError, QueueError, ConnectionLost, ProtocolError: The call failed.
            JobCancelled: The client was closed, or the server cancelled the call.
            TypeError, ValueError: An argument is wrong or missing; nothing was sent.
        """
        made: list[Job] = []
        try:
            return self._submit(
                args, kwargs, api_name, fn_index, headers, prepare=made.append
            ).result()
        except BaseException:
            if made:
                made[0].cancel()  # the caller never gets the job, so it can't cancel it
            raise
        finally:
            made.clear()  # the traceback of the exception holds this frame

    def submit(
        self,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        headers: Mapping[str, str] | None = None,
        result_callbacks: Callable[..., object] | Sequence[Callable[..., object]] | None = None,
        **kwargs: Any,
    ) -> Job:
        """Start a call of an endpoint; return its job immediately.

        Args:
            api_name: The endpoint's name, with its slash; it takes precedence over ``fn_index``.
                None for the only public endpoint of the app.
            fn_index: The endpoint's number, instead of its name.
            headers: Sent with this call only; the client's own headers take precedence.
            result_callbacks: Called with the result, one after the other; the values of a tuple are
                separate arguments.
            args, kwargs: The endpoint's arguments, files by `handle_file`.

        Raises:
            EndpointNotFound: There is no such endpoint, or the request is ambiguous.
            AuthenticationError: The endpoint requires an ``oauth_token`` that was not given.
            TypeError, ValueError: An argument is wrong or missing.
            OSError: A file that `handle_file` marked is no longer readable.
            ClientClosed: The client has been closed.
        """
        callbacks = [result_callbacks] if callable(result_callbacks) else result_callbacks or ()

        def add_callbacks(job: Job) -> None:
            for callback in callbacks:
                job.add_done_callback(partial(_with_result, callback))

        return self._submit(args, kwargs, api_name, fn_index, headers, prepare=add_callbacks)

    def _submit(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        api_name: str | None,
        fn_index: int | None,
        headers: Mapping[str, str] | None,
        *,
        prepare: Callable[[Job], object],
    ) -> Job:
        """Start a call; ``prepare(job)`` runs first, because an interrupt can come right after."""
        open_client = self._of_this_process()
        function, parameters = open_client.find(api_name, fn_index)
        values = bind_arguments(parameters, args, kwargs)
        own = {k: v for k, v in (headers or {}).items() if k.lower() not in self._headers}
        return open_client.submit(
            function,
            [with_files(value) for value in values],
            {**own, **(_visitor_headers() if self.space_id else {})},
            notice=self._print_long_wait if self.verbose and self.space_id else None,
            prepare=prepare,
        )

    def _print_long_wait(self, status: StatusUpdate) -> None:
        if status.code is Status.IN_QUEUE and status.eta is not None and status.eta > _LONG_WAIT:
            print(
                f"{self.space_id} is busy: this call will take about {int(status.eta)} seconds. "
                f"A copy of your own has no queue: Client.duplicate({self.space_id!r})"
            )

    def reset_session(self) -> None:
        """Start a new session, with new ``gr.State``; calls in flight stay in the old one."""
        self._of_this_process().reset_session()

    # Closing.

    def close(self) -> None:
        """Cancel the calls in flight, on the server too, and close all connections."""
        refuse_in_trio("closing this client", "call it in a thread")
        self._open_client.close(waiting=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the jobs, or cancel them if the block raised; then close."""
        refuse_in_trio("closing this client", "call it in a thread")
        self._open_client.close(waiting=exc is None)

    def __repr__(self) -> str:
        return describe(public_info(self._open_client.app), all_endpoints=None)

    @classmethod
    def duplicate(
        cls,
        from_id: str,
        to_id: str | None = None,
        token: str | None = None,
        private: bool = True,
        hardware: str | None = None,
        secrets: Mapping[str, str] | None = None,
        sleep_timeout: int = 5,
        max_workers: int = 40,
        verbose: bool = False,
    ) -> Client:
        """Copy a Space into your account, unless it is there already; return a client of the copy.

        Args:
            from_id: The Space, ``"owner/name"``.
            to_id: The copy's name; None for the same name.
            token: A token with write access; None for the one saved on this machine.
            private: Whether only you can use the copy.
            hardware: The hardware for the copy, such as ``"t4-small"``; None for the free hardware.
            secrets: Hidden environment variables of the copy, set when it is made; if the copy
                exists already, there is a warning.
            sleep_timeout: Minutes without a request after which the copy sleeps, on paid hardware.
            max_workers, verbose: As for `Client`.

        Raises:
            SpaceError: The hub refuses.
            MissingDependency: huggingface_hub is not installed: ``pip install "triojob[spaces]"``.

        It also raises the exceptions of `triojob.duplicate` and `Client`.
        """
        refuse_in_trio("Client.duplicate()", "use `await triojob.duplicate(...)`")
        make = partial(
            duplicate,
            from_id,
            to_id,
            token=token or True,
            private=private,
            hardware=getattr(hardware, "value", hardware),
            sleep_timeout=None if hardware is None else sleep_timeout * 60,
            secrets=secrets,
        )
        try:
            name, was_there = shared_portal().call(_duplicate_or_reuse, make, secrets is not None)
        except _exceptions.TriojobError as exc:
            raise translate(exc, opening=True) from exc.__cause__
        if was_there:
            warnings.warn(
                "Secrets are only used when the Space is duplicated for the first time, and are "
                "not updated if the duplicated Space already exists.",
                UserWarning,
                stacklevel=2,
            )
        if verbose:
            print(f"Using the Space {name}")
        return cls(name, token=token, max_workers=max_workers, verbose=verbose)


async def _duplicate_or_reuse(
    make: Callable[..., Awaitable[str]], has_secrets: bool
) -> tuple[str, bool]:
    """Return the name of the copy of a Space, and whether secrets could not be set."""
    if has_secrets:
        try:
            return await make(), False
        except _exceptions.SpaceError as exc:
            if exc.response is None or exc.response.status != HTTPStatus.CONFLICT:
                raise
    return await make(exist_ok=True), has_secrets


def _make(entry: RunEntry, **options: Any) -> OpenClient:
    """Return the client for a synchronous client's arguments; it is not open."""
    src, token, verbose = options["src"], options["token"], options["verbose"]
    given: dict[str, Any] = dict(options["httpx_kwargs"])
    for name in given:
        if name in _NOT_FOR_HTTPX:
            raise TypeError(f"httpx_kwargs: {name!r} is not supported: {_NOT_FOR_HTTPX[name]}")
    if given.pop("follow_redirects", False):
        raise ValueError(
            "httpx_kwargs: follow_redirects=True is not supported, because a redirect could send "
            "your headers and files anywhere; pass the URL that the app redirects to"
        )
    timeouts = _timeouts(given.pop("timeout")) if "timeout" in given else None
    cookies = given.pop("cookies", None)
    http_client = None
    if given:
        # Unbounded: calls in flight are limited before the pool.  Connections are not reused,
        # because httpx can't know how long the server keeps them.
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        http_client = httpx.AsyncClient(verify=options["ssl_verify"], limits=pool, **given)
    folder = options["download_files"]
    if folder is True:
        folder = _TEMP_DIR
    if not (folder is None or isinstance(folder, bool)):
        if Path(folder).exists() and not Path(folder).is_dir():
            raise ValueError(f"Path: {folder} is not a directory.")
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - to `Path`, "" is the current folder

    def on_wait(status: SpaceStatus) -> None:
        if not status.ready:
            print(f"{status.space} is {status.stage}. Please wait...")

    native = TrioClient(
        src,
        token=token if token is not None else is_space_id(src) and may_use_saved_token(),
        auth=options["auth"],
        headers=options["headers"],
        cookies=cookies,
        verify=options["ssl_verify"] if http_client is None else True,
        timeouts=timeouts,
        limits=options["limits"],
        download_files=folder or False,
        validate=False,
        oauth_token=options["oauth_token"],
        on_wait=on_wait if verbose else None,
        http_client=http_client,
    )
    return OpenClient(
        entry,
        native,
        http_client,
        limit=options["max_workers"],
        download_files=bool(folder),
    )


def _timeouts(timeout: Any) -> Timeouts:
    times = httpx.Timeout(timeout)
    usual = Timeouts()
    return Timeouts(
        connect=times.connect,
        write=times.write,
        read=times.read,
        # Servers are silent for up to 15 s in normal operation, so no bound can be below that.
        stream_idle=None if times.read is None else max(times.read, usual.stream_idle or 0),
    )


def _not_logged_in(
    error: _exceptions.AuthenticationError, src: str, auth: object
) -> AuthenticationError:
    if auth is None:
        text = f"Could not load {src} as credentials were not provided. Please login."
    else:
        text = f"Could not login to {src}. Invalid credentials."
    return AuthenticationError(text).with_traceback(error.__traceback__)


def _unexpected_response(
    error: _exceptions.UnexpectedResponse, src: str
) -> _exceptions.UnexpectedResponse:
    if str(error).startswith("logging in"):
        words = f"Could not login to {src}. {error}"
    else:
        what = "api info" if str(error).startswith("reading /info") else "config"
        words = f"Could not fetch {what} for {src}: {error}"
    return _exceptions.UnexpectedResponse(words, status=error.status).with_traceback(
        error.__traceback__
    )


def _with_result(callback: Callable[..., object], job: Job) -> None:
    end = end_of(job)
    if end is None or end.cancelled or end.error is not None:
        return
    result = end.value
    if isinstance(result, tuple):
        callback(*result)
    else:
        callback(result)


def _visitor_headers() -> dict[str, str]:
    """Return the header that attributes a call to the visitor of the Gradio app that makes it.

    Spaces with shared hardware give each visitor a quota of it (gradio_client 2.7,
    ``add_zero_gpu_headers``).
    """
    context = sys.modules.get("gradio.context")
    local = getattr(context, "LocalContext", None)
    if local is None:
        return {}
    token = getattr(local.request.get(None), "headers", {}).get("x-ip-token")
    return {} if token is None else {"x-ip-token": token}
