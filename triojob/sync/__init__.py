"""triojob for threads and plain scripts, with the interface of gradio_client.

``from triojob.sync import Client`` replaces ``from gradio_client import Client``; and
`submit` submits a call to a `triojob.JobGroup` from another thread.  docs/migration.md has both.
"""

from __future__ import annotations

from ..gradio.http.settings import Limits as Limits
from . import _process as _process, client as client, exceptions as exceptions, utils as utils
from ._arguments import file as file, handle_file as handle_file
from ._job import Job as Job
from ._portal import Portal as Portal, open_portal as open_portal, start_portal as start_portal
from ._submit import submit as submit
from .client import Client as Client
from .exceptions import (
    AppError as AppError,
    AuthenticationError as AuthenticationError,
    ConnectionFailed as ConnectionFailed,
    ConnectionLost as ConnectionLost,
    ConnectionTimeout as ConnectionTimeout,
    EndpointNotFound as EndpointNotFound,
    ServerStopped as ServerStopped,
    SpaceError as SpaceError,
    ValidationError as ValidationError,
)
from .utils import (
    OutputUpdate as OutputUpdate,
    ProgressUnit as ProgressUnit,
    QueueError as QueueError,
    Status as Status,
    StatusUpdate as StatusUpdate,
    TooManyRequestsError as TooManyRequestsError,
)

# Set the public module of each object.
for _object in tuple(globals().values()):
    if getattr(_object, "__module__", "").startswith("triojob.sync._"):
        _object.__module__ = __name__
