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
