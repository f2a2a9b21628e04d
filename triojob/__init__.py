"""Call Gradio apps from Trio, with job handles that follow structured concurrency.

The layers, from top to bottom; each imports only from lower layers:

1. interfaces: `_cli` and `bulk` over `_durable` (durable runs), over `sync`, `_live`, `_doctor`,
   `testing`, `opentelemetry` and `stubs`
2. `gradio`: client, endpoints, sessions, one driver for each protocol, HTTP
3. `_fanout`: one call to many jobs
4. `_core`, which is independent of Gradio: group, job, messages
5. `_exceptions`, and helpers without a layer: `_secrets`, `_printable`, `_lazy`, `_interrupt`

docs/modules.md lists all modules; tests/test_architecture.py checks their layers.
"""

from __future__ import annotations

# First, because the imports that follow take long.
from . import _interrupt as _interrupt  # isort: split

from importlib import import_module as _import_module
from types import FunctionType as _Function
from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._core.group import JobGroup as JobGroup
from ._core.instruments import GroupStatistics as GroupStatistics, Instrument as Instrument
from ._core.iterators import OutputIterator as OutputIterator, UpdateIterator as UpdateIterator
from ._core.job import Job as Job
from ._core.latency import LatencyStatistics as LatencyStatistics
from ._core.messages import (
    LogMessage as LogMessage,
    OutputUpdate as OutputUpdate,
    ProgressUnit as ProgressUnit,
    RenderUpdate as RenderUpdate,
    Status as Status,
    StatusUpdate as StatusUpdate,
)
from ._core.report import report as report
from ._core.retry import Retry as Retry
from ._exceptions import (
    AppError as AppError,
    AuthenticationError as AuthenticationError,
    CallInterrupted as CallInterrupted,
    ClientClosed as ClientClosed,
    ConnectionFailed as ConnectionFailed,
    ConnectionLost as ConnectionLost,
    ConnectionTimeout as ConnectionTimeout,
    EndpointMismatch as EndpointMismatch,
    EndpointNotFound as EndpointNotFound,
    ErrorResponse as ErrorResponse,
    FileTooLarge as FileTooLarge,
    GroupClosed as GroupClosed,
    InputStreamClosed as InputStreamClosed,
    JobCancelled as JobCancelled,
    JobNotDone as JobNotDone,
    JobTimeout as JobTimeout,
    MissingDependency as MissingDependency,
    NetworkError as NetworkError,
    NoReplicaAvailable as NoReplicaAvailable,
    ProtocolError as ProtocolError,
    QueueFull as QueueFull,
    RunStopped as RunStopped,
    ServerRestarted as ServerRestarted,
    ServerStopped as ServerStopped,
    SpaceError as SpaceError,
    StoreError as StoreError,
    StoreMismatch as StoreMismatch,
    TooManyRequests as TooManyRequests,
    TriojobError as TriojobError,
    UnexpectedResponse as UnexpectedResponse,
    ValidationError as ValidationError,
)
from ._fanout.as_completed import JobIterator as JobIterator, as_completed as as_completed
from ._fanout.gather import (
    first_completed as first_completed,
    first_success as first_success,
    gather as gather,
)
from ._version import __version__ as __version__
from .gradio.client import Client as Client, ClientSession as ClientSession
from .gradio.endpoint import Endpoint as Endpoint
from .gradio.files.file import File as File
from .gradio.files.inputs import FileInput as FileInput, handle_file as handle_file
from .gradio.http.settings import Limits as Limits, Timeouts as Timeouts
from .gradio.protocol.properties import PropertyUpdate as PropertyUpdate
from .gradio.schema.app import AppInfo as AppInfo, EndpointInfo as EndpointInfo
from .gradio.schema.parameters import Parameter as Parameter
from .gradio.session.input_stream import InputStream as InputStream
from .gradio.session.window import WindowStatistics as WindowStatistics

if _TYPE_CHECKING:
    from ._doctor.diagnosis import diagnose as diagnose
    from ._doctor.findings import (
        CheckResult as CheckResult,
        Diagnosis as Diagnosis,
        Finding as Finding,
        Remedy as Remedy,
    )
    from ._durable.durable_map import durable_map as durable_map
    from ._durable.outcome import RowOutcome as RowOutcome
    from ._durable.results import DurableResults as DurableResults
    from ._fanout.map import map as map
    from ._fanout.results import ResultIterator as ResultIterator
    from ._live._view import live as live
    from .gradio.pool.pool import (
        ClientPool as ClientPool,
        PoolStatistics as PoolStatistics,
        ReplicaStatistics as ReplicaStatistics,
    )
    from .gradio.spaces.duplicate import duplicate as duplicate
    from .gradio.spaces.stages import SpaceStatus as SpaceStatus
    from .gradio.statistics import ClientStatistics as ClientStatistics


_LATER = {
    "CheckResult": "._doctor.findings",
    "ClientPool": ".gradio.pool.pool",
    "ClientStatistics": ".gradio.statistics",
    "Diagnosis": "._doctor.findings",
    "Finding": "._doctor.findings",
    "DurableResults": "._durable.results",
    "PoolStatistics": ".gradio.pool.pool",
    "Remedy": "._doctor.findings",
    "ReplicaStatistics": ".gradio.pool.pool",
    "ResultIterator": "._fanout.results",
    "RowOutcome": "._durable.outcome",
    "SpaceStatus": ".gradio.spaces.stages",
    "diagnose": "._doctor.diagnosis",
    "duplicate": ".gradio.spaces.duplicate",
    "durable_map": "._durable.durable_map",
    "live": "._live._view",
    "map": "._fanout.map",
}
"""Names of rarely used modules: each module is imported on first use of one of its names."""


def _publish(value: object) -> bool:
    """Set the public module of an object that triojob defines; return whether it is one."""
    if isinstance(value, (type, _Function)) and value.__module__.startswith("triojob"):
        value.__module__ = __name__
        return True
    return False


# Type checkers read the imports above: with a `__getattr__`, they would accept any name.
if not _TYPE_CHECKING:
    _names = tuple(name for name in globals() if name[0] != "_")
    _public = [name for name in _names if _publish(globals()[name])]
    # Through `globals`, because type checkers understand only a literal `__all__`.
    globals()["__all__"] = [*_public, *_LATER]

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(_import_module(_LATER[name], __name__), name)
        _publish(value)
        globals()[name] = value
        return value
