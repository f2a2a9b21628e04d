"""Call Gradio apps from Trio, with the job handle that structured concurrency has.

The layers, each of which imports only from those under it:

1. surfaces: the command line, the demo and the live view
2. Gradio: client, endpoints, sessions, one driver for each protocol, bytes
3. the core, which knows nothing of Gradio: group, job, messages, exceptions

docs/how-it-works.md says what each module may import, and a test holds them to it
(``tests/test_examples.py``).
"""

from __future__ import annotations

from types import FunctionType as _Function

from ._completion import JobIterator as JobIterator, as_completed as as_completed
from ._errors import (
    AppError as AppError,
    AuthenticationError as AuthenticationError,
    CallInterrupted as CallInterrupted,
    ConnectionFailed as ConnectionFailed,
    ConnectionLost as ConnectionLost,
    ConnectionTimeout as ConnectionTimeout,
    EndpointMismatch as EndpointMismatch,
    EndpointNotFound as EndpointNotFound,
    FileTooLarge as FileTooLarge,
    GroupClosed as GroupClosed,
    InputClosed as InputClosed,
    JobCancelled as JobCancelled,
    JobNotDone as JobNotDone,
    JobTimeout as JobTimeout,
    MissingExtra as MissingExtra,
    NoReplica as NoReplica,
    ProtocolError as ProtocolError,
    QueueFull as QueueFull,
    ServerRestarted as ServerRestarted,
    ServerStopped as ServerStopped,
    SpaceError as SpaceError,
    TooManyRequests as TooManyRequests,
    TriojobError as TriojobError,
    UnexpectedResponse as UnexpectedResponse,
    ValidationError as ValidationError,
)
from ._fanout import (
    first_completed as first_completed,
    gather as gather,
    race as race,
)
from ._group import JobGroup as JobGroup
from ._instruments import GroupStatistics as GroupStatistics, Instrument as Instrument
from ._job import Job as Job, OutputIterator as OutputIterator, UpdateIterator as UpdateIterator
from ._live._view import live as live
from ._map import map as map
from ._messages import (
    LogMessage as LogMessage,
    OutputUpdate as OutputUpdate,
    ProgressUnit as ProgressUnit,
    RenderUpdate as RenderUpdate,
    Status as Status,
    StatusUpdate as StatusUpdate,
)
from ._reporter import report as report
from ._results import ResultIterator as ResultIterator
from ._retry import Retry as Retry
from ._settings import Limits as Limits, Timeouts as Timeouts
from ._version import __version__ as __version__
from .gradio._client import (
    Client as Client,
    ClientSession as ClientSession,
)
from .gradio._duplicate import duplicate as duplicate
from .gradio._endpoint import Endpoint as Endpoint
from .gradio._file_handle import File as File
from .gradio._file_inputs import FileInput as FileInput, handle_file as handle_file
from .gradio._input import InputStream as InputStream
from .gradio._pool import (
    ClientPool as ClientPool,
    PoolStatistics as PoolStatistics,
    ReplicaStatistics as ReplicaStatistics,
)
from .gradio._properties import PropertyUpdate as PropertyUpdate
from .gradio._spaces import SpaceStatus as SpaceStatus
from .gradio._statistics import ClientStatistics as ClientStatistics
from .gradio.session.window import WindowStatistics as WindowStatistics

# Objects show the module that users import them from.
for _object in tuple(globals().values()):
    if isinstance(_object, (type, _Function)) and _object.__module__.startswith("triojob."):
        _object.__module__ = __name__
