"""The doctor: finds out what is wrong with an app, and with what is between it and its clients.

A check is an async function that receives the `Context` and returns findings; each family of checks
has a module.

- `findings`: `Finding`, `Remedy`, `CheckResult` and `Diagnosis`
- `catalog`: all findings by code: how severe each is, what it means, and what to change
- `context`: what the checks share: the requests, the app's description
- `hub`: is the Space running?
- `network`: findings of a failed connection, TLS included
- `description`: does the app respond, accept the login, and describe itself?
- `address`: the address that the app believes to have, and its cookies
- `application`: the release of Gradio, and the app's own settings
- `streams`: event streams and WebSockets: does anything hold them back or cut them?
- `replicas`: do all requests reach the same process?
- `limits`: idle connections, request bodies, the rate of requests, connections
- `trial`: the one call that the caller asks for
- `registry`: the checks in their order
- `diagnosis`: `diagnose` runs them
"""
