"""An app's description of itself, from ``/config`` and ``/info``.

- `app`: `AppInfo` and `EndpointInfo`; no I/O
- `labels`: what the app calls its components, as text; no I/O
- `parameters`: checks arguments and encodes them as the data of a call; no I/O
- `discovery`: logs in, and reads an app's description
- `view`: the description for people; no I/O
- `types`: JSON schemas to Python types, as text; no I/O
- `stubs`: a typed module for one app; no I/O
"""
