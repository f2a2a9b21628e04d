"""`Endpoint`: an async callable that makes calls of one function of an app."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeAlias, TypeVar, cast

import trio
from outcome import Outcome

from .._core.call import Batch, Call, Submittable, run_call
from .._core.group import JobGroup
from .._core.job import Job
from .._core.lifetime import NurseryUnwrapper
from .._core.logs import follow_in_log
from .._core.messages import StatusUpdate
from .._core.record import JobRecord
from .._core.retry import Retry
from .._core.runner import JobRunner
from .._core.runs import require_task
from .._exceptions import ClientClosed, short_repr
from .._secrets import scrub
from .call import CallSettings, EndpointCall
from .files.inputs import FilePlaceholders
from .files.upload import check_files
from .http.urls import check_headers
from .protocol.base import CallDriver, CallRequest, StreamDriver
from .protocol.messages import Json, Trigger
from .protocol.registry import Drivers
from .schema.app import EndpointInfo
from .schema.parameters import encode_value
from .session.input_stream import InputFeed, InputStream
from .session.registry import SessionRegistry
from .session.session import Session

if TYPE_CHECKING:
    from typing_extensions import ParamSpec as _ParamSpec, TypeVar as _TypeVar

    # A call that only a server describes can take and return anything.  For type checkers only: at
    # run time Python has such defaults from 3.13 on.
    P = _ParamSpec("P", default=...)
    T_co = _TypeVar("T_co", covariant=True, default=Any)
else:
    P = ParamSpec("P")
    T_co = TypeVar("T_co", covariant=True)

Via: TypeAlias = Literal["queue", "run", "call"]
"""The route of a call."""


@dataclass(frozen=True)
class CallOptions:
    """The options that the calls of one endpoint share, as its user chose them."""

    trigger: Trigger = field(default_factory=Trigger)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with the request that makes a call, in addition to the headers of the client."""
    retry: Retry | None = None
    batch: Batch | None = None
    """The batch of the calls, if they can share a session with other calls of the batch."""


def _route(
    drivers: Drivers, info: EndpointInfo, via: Via | None
) -> tuple[Via, StreamDriver | CallDriver]:
    # The response to /run has only the first output of a generator.
    usual: Via = "queue" if info.queued or info.streams else "run"
    chosen = via or usual
    ways: dict[Via, StreamDriver | CallDriver] = {
        "queue": drivers.queue,
        "run": drivers.run,
        "call": drivers.call,
    }
    driver = ways.get(chosen)
    if driver is None:
        raise ValueError(f'via must be "queue", "run" or "call", not {short_repr(via)}')
    if chosen == "call" and info.api_name is None:
        raise ValueError(f'{info.name} has no name, so it can\'t be called via="call"')
    return chosen, driver


class Endpoint(Submittable, Generic[P, T_co]):
    """One endpoint of an app: an async callable with the app's own parameters.

    ``await endpoint(...)`` calls it; ``group.submit(endpoint, ...)`` makes a job of a call.
    `help` and `inspect.signature` show its parameters.  `Client.endpoint` makes it.
    For type checkers, it takes anything and returns `Any`, unless it comes from an app's typed
    module, see `Client.stubs`: then it is ``Endpoint[P, T]``.

    Cancelling a call, by any scope, stops it on the server too.
    """

    def __init__(
        self,
        registry: SessionRegistry,
        find: Callable[[], tuple[EndpointInfo, Session | None]],
        settings: CallSettings,
        *,
        via: Via | None = None,
        options: CallOptions | None = None,
    ) -> None:
        self._options = options or CallOptions()
        self._registry = registry
        self._find = find
        self._settings = settings
        self._asked_via: Via | None = via
        self._look_up()

    def _look_up(self) -> None:
        restarts = self._registry.watch.restarts
        info, self._session = self._find()
        self._info = info
        self._via: Via
        self._via, self._driver = _route(self._registry.drivers, info, self._asked_via)
        self.__name__: str = info.name
        self.__doc__ = info.text
        self.__signature__: inspect.Signature = info.signature
        # Last, so that another thread which sees it also sees the other attributes.
        self._restarts = restarts

    @property
    def info(self) -> EndpointInfo:
        """The app's description of it: parameters, outputs, whether it streams or has State."""
        return self._info

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
        """The route that its calls use; see `Client.endpoint`."""
        return self._via

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        """Check and encode the arguments of a call; send nothing."""
        return self._bind(args, kwargs, None, batch)

    def _bind(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        feed: InputFeed | None,
        batch: Batch | None = None,
    ) -> Call:
        if self._registry.calls.closed:
            raise ClientClosed(f"the client of {self.name} has been closed")
        if self._restarts != self._registry.watch.restarts:
            self._look_up()
        if self._session is not None and self._session.ended:
            raise ClientClosed(
                f"the session of {self.name} has ended; open a new one for more calls"
            )
        return self._call(*self._prepare(args, kwargs), feed=feed, batch=batch)

    def _prepare(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[str, FilePlaceholders]:
        """Check and encode the arguments of a call; return them and the files among them."""
        placeholders = FilePlaceholders()
        data = self._encode(args, kwargs, placeholders)
        check_files(placeholders, self.name, self._settings.max_file_size)
        return data, placeholders

    def _call(
        self,
        data: str,
        placeholders: FilePlaceholders,
        *,
        feed: InputFeed | None = None,
        on_status: Callable[[StatusUpdate], object] | None = None,
        batch: Batch | None = None,
        patient: bool = True,
        on_message: Callable[[Json], object] | None = None,
    ) -> EndpointCall:
        """Return a call with encoded arguments; see `EndpointCall`."""
        info = self._info
        request = CallRequest(
            info.name,
            info.fn_index,
            info.api_name,
            data,
            canceller=info.canceller,
            streams=info.streams,
            oauth_token=self._settings.oauth_token(info),
            trigger=self._options.trigger,
            headers=self._options.headers,
        )
        return EndpointCall(
            self._registry,
            info,
            self._session,
            self._settings,
            driver=self._driver,
            request=request,
            placeholders=placeholders if placeholders.parameters else None,
            feed=feed,
            retry=self._options.retry,
            on_status=on_status,
            batch=batch or self._options.batch,
            patient=patient,
            on_message=on_message,
        )

    def _encode(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        placeholders: FilePlaceholders | None = None,
    ) -> str:
        return self._info.encode(
            args, kwargs, validate=self._settings.validate, placeholders=placeholders
        )

    @asynccontextmanager
    async def stream_inputs(
        self, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[InputStream, None]:
        """Call an endpoint that takes inputs while its outputs come back, such as a microphone's.

        ``async with endpoint.stream_inputs(first) as stream``, then ``await stream.send(second)``
        and so on; see `InputStream`.  The arguments here are the first input.
        Leaving the block closes the input and waits for the call to end.  If the block raises, the
        call is cancelled, on the server too, and the exception is raised as it is, not in a group.
        An unretrieved failure of the call is raised there, in an `ExceptionGroup`.

        Raises:
            TypeError: The endpoint takes no stream of inputs, or an argument is wrong or missing.
            ValueError: An argument has a value that the endpoint does not allow.
        """
        if not self._info.takes_stream:
            raise TypeError(
                f"{self.name} takes one input, not a stream of inputs; call or submit it"
            )
        feed = InputFeed(self.name, self._registry.http, self._registry.background, once=False)
        with NurseryUnwrapper(nurseries=1) as body:
            async with JobGroup(instruments=self._settings.instruments) as group:
                with body.watched():
                    job: Job[Any] = group.submit(cast("Any", _Fed(self, feed)), *args, **kwargs)
                    yield InputStream(job, feed, self._encode)
                    await feed.close()

    def with_event_data(self, data: Any, trigger_id: int | None = None) -> Endpoint[P, T_co]:
        """Return this endpoint with the data that a browser would send with the triggering event.

        A function of the app that takes ``gr.EventData``, or a subclass such as ``gr.SelectData``,
        receives them.

        Args:
            data: A value that JSON can represent.  For ``gr.SelectData`` it is a dictionary with
                ``index`` and ``value``.
            trigger_id: The number of the component that was clicked or changed: ``id`` in the app's
                ``/config``.  The function finds the component in ``gr.EventData.target``.

        Raises:
            TypeError, ValueError: ``data`` can't be sent as JSON.
        """
        encoded = encode_value(data, f"the event data for {self.name}")
        return self._with(replace(self._options, trigger=Trigger(encoded, trigger_id)))

    def with_headers(self, headers: Mapping[str, str]) -> Endpoint[P, T_co]:
        """Return this endpoint with additional headers.

        They are sent with the one request that makes a call, whose headers a function of the app
        receives in ``gr.Request``; they override the client's headers of the same name.

        Raises:
            ValueError: A name or value has characters that a header can't have.
        """
        check_headers("headers", headers)
        merged = {**self._options.headers, **headers}
        return self._with(replace(self._options, headers=merged))

    def with_retry(self, retry: Retry) -> Endpoint[P, T_co]:
        """Return this endpoint with retries for calls that never started.

        Each attempt of a call with files uploads them again.  A call that has yielded outputs, or
        that takes a stream of inputs, is not retried.
        """
        return self._with(replace(self._options, retry=retry))

    async def _probe(self) -> None:
        await self._registry.watch.probe()

    @property
    def _app_url(self) -> str | None:
        return self._registry.http.base

    def _with(self, options: CallOptions) -> Endpoint[P, T_co]:
        return Endpoint(
            self._registry, self._find, self._settings, via=self._asked_via, options=options
        )

    @contextmanager
    def in_shared_session(self) -> Generator[Endpoint[P, T_co], None, None]:
        """Yield this endpoint for many calls that are not cancelled one by one.

        ::

            with endpoint.in_shared_session() as shared:
                jobs = [group.submit(shared, line) for line in lines]
                ...

        The calls share a session with the app, and so an event stream, which costs one request a
        call instead of two; `map` and `gather` do so automatically.  If one call is cancelled
        alone, its job still ends at once; but the cancel request is sent when it can stop that call
        without the others, see `Client.session`.  After ten seconds, further calls use another
        session, as proxies end long responses.  Calls in flight at the end of the block keep
        running.
        An endpoint with ``gr.State``, or of a session that you opened, stays in that session.
        """
        batch = Batch()
        try:
            yield self._with(replace(self._options, batch=batch))
        finally:
            batch.end()

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Call the endpoint; return its result: a tuple if it has several outputs.

        Raises:
            TypeError, ValueError: An argument is wrong or missing; nothing was sent.
            FileNotFoundError: A path given to `handle_file` does not exist.
            FileTooLarge: A file has more bytes than the app accepts or this client downloads.
            AuthenticationError: The app requires a login, or an ``oauth_token`` that was not given.
            AppError: The app raised.
            ValidationError: The app's validator refused the input.
            QueueFull: The app's queue is full.
            NetworkError: The network failed; see its subclasses.
            ProtocolError: The server sent an invalid message.
            JobCancelled: The server cancelled the call, or the client was closed.
            RuntimeError: The current task does not belong to the client's Trio run.

        Being cancelled ends the call at once and stops it on the server, in the background.
        """
        require_task(self.name)
        call = self.bind(args, kwargs)
        # No caller can read its outputs, so it keeps none.
        record = JobRecord(call.name, 0)
        follow_in_log(record)
        await run_call(call, JobRunner(record))
        try:
            result: T_co = record.unwrap()
            return result
        finally:
            del record  # see raise_first

    def __repr__(self) -> str:
        parameters = ", ".join(self._info.signature.parameters)
        return scrub(f"<Endpoint {self.name}({parameters})>", ours=True)


def generation_of(endpoint: Endpoint) -> int:
    """Return how often the app had restarted when the endpoint was looked up."""
    return endpoint._restarts


def token_of(endpoint: Endpoint) -> trio.lowlevel.TrioToken | None:
    """Return the token of the Trio run in which calls of an endpoint can run."""
    return endpoint._registry.http.token


async def probe(endpoint: Endpoint) -> None:
    """Check that the app of an endpoint is reachable; for a pool, that one of its apps is.

    Raises:
        TriojobError: It is not.
    """
    await endpoint._probe()


def app_url_of(endpoint: Endpoint) -> str | None:
    """Return the URL of an endpoint's app; None for a pool, whose apps come and go."""
    return endpoint._app_url


def gives_paths(endpoint: Endpoint) -> bool:
    """Return whether files in outputs are paths of copies, and not `File` objects."""
    return endpoint._settings.outputs.folder is not None


def prepare(
    endpoint: Endpoint, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, FilePlaceholders]:
    """Check and encode the arguments of a call; return them and the files among them."""
    return endpoint._prepare(args, kwargs)


def make_call(
    endpoint: Endpoint,
    data: str,
    placeholders: FilePlaceholders,
    *,
    on_status: Callable[[StatusUpdate], object],
    batch: Batch | None,
    patient: bool,
) -> EndpointCall:
    """Return a call with arguments that `prepare` has encoded; see `EndpointCall`."""
    return endpoint._call(data, placeholders, on_status=on_status, batch=batch, patient=patient)


async def observe_call(
    endpoint: Endpoint, args: tuple[Any, ...], on_message: Callable[[Json], object]
) -> Outcome[Any]:
    """Make a call, and show each message of the server as it arrives; return the outcome.

    A refusal of the server is not retried.  Being cancelled ends the call as `Endpoint` does.

    Args:
        on_message: Called with each message, in the format of Gradio's queue.

    Raises:
        TypeError, ValueError: An argument is wrong or missing; nothing was sent.
    """
    call = endpoint._call(*endpoint._prepare(args, {}), patient=False, on_message=on_message)
    record = JobRecord(call.name, 0)
    await run_call(call, JobRunner(record))
    return record.retrieve()


def with_settings_of(endpoint: Endpoint, other: Endpoint) -> Endpoint:
    """Return an endpoint with the event data and headers of another one."""
    chosen = other._options
    return endpoint._with(
        replace(endpoint._options, trigger=chosen.trigger, headers=chosen.headers)
    )


class _Fed(Submittable):
    """An endpoint together with the sending side of one call of it."""

    def __init__(self, endpoint: Endpoint, feed: InputFeed) -> None:
        self._endpoint = endpoint
        self._feed = feed

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch: Batch | None = None
    ) -> Call:
        return self._endpoint._bind(args, kwargs, self._feed, batch)
