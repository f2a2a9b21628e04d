"""An app's description of itself, from ``/config`` and ``/info``.

- `app`: `AppInfo` and `EndpointInfo`; no I/O
- `labels`: the labels of an app's components, as text; no I/O
- `parameters`: checks arguments and encodes them as the data of a call; no I/O
- `discovery`: logs in, and reads an app's description
- `view`: formats the description for people; no I/O
- `types`: translates JSON schemas to Python types, as text; no I/O
- `stubs`: writes a typed module for one app; no I/O
"""
