"""What clients, sessions and pools have in common."""

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

        A call of an endpoint without ``gr.State`` harms no other when it is cancelled.
        Calls of one with it share their client's session, where Gradio can't cancel one of several
        calls of a function; so they are made one at a time.  See `Client.session` for the other
        way.

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
            EndpointMismatch: The replicas of a pool disagree about it.
            NoReplicaAvailable: No replica of a pool is open.
            ClientClosed: This is not open.
            ValueError: ``via`` is something else; or a pool was asked for an endpoint with
                ``gr.State``, which one replica has and another does not: see `ClientPool.session`.
        """
        return self._find(api_name, fn_index, via)

    def _groups(self) -> tuple[JobGroup, ...]:
        """Return the groups whose jobs are this object's."""
        return (self._own_group(),)

    @property
    def jobs(self) -> tuple[Job[Any], ...]:
        """The jobs of this group that wait or run, and those whose failure nobody has seen."""
        return self._own_group().jobs

    def submit(
        self,
        /,
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
            FileNotFoundError: There is no file where `handle_file` says.
            ClientClosed: This is not open.
        """
        endpoint = self.endpoint(api_name, fn_index=fn_index)
        try:
            return self._own_group().submit(endpoint, *args, **kwargs)
        except GroupClosed:
            name = type(self).__name__
            raise ClientClosed(f"this {name} has ended; open another one for more calls") from None

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
