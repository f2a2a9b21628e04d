"""The interface that clients, sessions and pools share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .._core.group import JobGroup
from .._core.job import Job
from .._exceptions import ClientClosed, GroupClosed
from .endpoint import Endpoint, Via


class Surface(ABC):
    """Endpoints of an app, and a group for calls of them."""

    @abstractmethod
    def _own_group(self) -> JobGroup: ...

    @abstractmethod
    def _find(self, api_name: str | None, fn_index: int | None, via: Via | None) -> Endpoint: ...

    def endpoint(
        self,
        api_name: str | None = None,
        *,
        fn_index: int | None = None,
        via: Via | None = None,
    ) -> Endpoint:
        """Return one endpoint of the app.

        Cancelling a call of an endpoint without ``gr.State`` affects no other call.
        Calls of an endpoint with ``gr.State`` share their client's session, where Gradio can't
        cancel one of several calls of a function; so they are made one at a time.  See
        `Client.session` for the alternative.

        Args:
            api_name: Its name, with or without the slash.  None for the only endpoint, or for
                ``"/predict"``.
            fn_index: Its number instead, for an endpoint without a name.
            via: Which route its calls use: ``"queue"``, the app's queue, with status, progress, all
                outputs and cancellation; ``"run"``, one request whose response is the output;
                ``"call"``, Gradio's simple API (4.20 and later), with whole outputs and
                cancellation, without status.  None for the queue, or ``"run"`` for a function that
                the app has outside the queue (``queue=False``) and that is not a generator.

        Raises:
            EndpointNotFound: There is no such endpoint; the error lists the app's endpoints.
            EndpointMismatch: The replicas of a pool disagree about it.
            NoReplicaAvailable: No replica of a pool is open.
            ClientClosed: This is not open.
            ValueError: ``via`` is invalid; or a pool was asked for an endpoint with ``gr.State``
                that one replica has and another does not: see `ClientPool.session`.
        """
        return self._find(api_name, fn_index, via)

    def _groups(self) -> tuple[JobGroup, ...]:
        """Return the groups that hold this object's jobs."""
        return (self._own_group(),)

    @property
    def jobs(self) -> tuple[Job[Any], ...]:
        """The jobs of this group that wait or run, or whose failure is unretrieved."""
        return self._own_group().jobs

    def submit(
        self,
        /,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        **kwargs: Any,
    ) -> Job[Any]:
        """Start a call of an endpoint as a job; return the job at once.

        The job lives in this object's own group: leaving its ``async with`` waits for it.

        Args:
            api_name, fn_index: Which endpoint; see `endpoint`.

        Raises:
            EndpointNotFound: There is no such endpoint.
            TypeError, ValueError: An argument is wrong or missing.
            FileNotFoundError: A path given to `handle_file` does not exist.
            ClientClosed: This is not open.
        """
        endpoint = self.endpoint(api_name, fn_index=fn_index)
        try:
            return self._own_group().submit(endpoint, *args, **kwargs)
        except GroupClosed:
            name = type(self).__name__
            raise ClientClosed(f"this {name} has ended; open a new one for more calls") from None

    async def predict(
        self,
        /,
        *args: Any,
        api_name: str | None = None,
        fn_index: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call an endpoint and return its result; see `endpoint` and `Endpoint.__call__`."""
        return await self.endpoint(api_name, fn_index=fn_index)(*args, **kwargs)
