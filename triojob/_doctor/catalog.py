"""All findings by code: how severe each is, what it means, and what to change."""

from __future__ import annotations

from typing import NamedTuple

from .._secrets import scrub
from .findings import Finding, Remedy, Severity


class Entry(NamedTuple):
    """What is the same in all findings of a code."""

    severity: Severity
    means: str
    remedies: tuple[Remedy, ...]


def found(code: str, saw: str, *, severity: Severity | None = None, **evidence: object) -> Finding:
    """Return a finding of the catalog.

    Args:
        saw: What was seen; secrets in it are masked.
        severity: How severe this one is, if not as severe as usual.
        evidence: The numbers and names in ``saw``.
    """
    entry = CATALOG[code]
    shown = scrub(saw, ours=True)
    return Finding(code, severity or entry.severity, shown, entry.means, entry.remedies, evidence)


_TRUST = Remedy(
    "client",
    "if you trust this server, name its certificate or authority: verify=ssl_context "
    "(command line: --ca FILE)",
)

_ROOT = (
    "Browsers, Gradio's JavaScript client, and the URLs of files in outputs use the address that "
    "the app believes to have; triojob calls the app at the URL that you pass."
)

CATALOG: dict[str, Entry] = {
    # --- Hugging Face Spaces ---
    "hub-unavailable": Entry(
        "error",
        "Where the Space's app is, is not known, so nothing else could be checked.",
        (Remedy("client", "try again later; check hf_endpoint= and HF_ENDPOINT"),),
    ),
    "space-missing": Entry(
        "error",
        "There is no such Space, or it is private and your token, if any, cannot read it.",
        (
            Remedy("client", "check the name; for a private Space pass token="),
            Remedy("Space", "let the token's owner read the Space, or make it public"),
        ),
    ),
    "space-asleep": Entry(
        "warning",
        "A request wakes it, and the first call waits until it runs. "
        "The doctor wakes nothing, so nothing else was checked.",
        (
            Remedy("client", 'open it by its name, Client("owner/name"), which waits for it'),
            Remedy("Space", "choose hardware that does not sleep, or a longer sleep time"),
        ),
    ),
    "space-building": Entry(
        "warning",
        "The Space cannot be called before its app runs; nothing else was checked.",
        (Remedy("client", 'open it by its name, Client("owner/name"), which waits for it'),),
    ),
    "space-failed": Entry(
        "error",
        "No waiting ends this stage: the Space's owner has to act.",
        (Remedy("Space", "see the Space's log and settings; restart it"),),
    ),
    # --- The connection ---
    "unreachable": Entry(
        "error",
        "No request reaches a server at this address.",
        (
            Remedy("client", "check the host, the port, DNS, and your own proxy and firewall"),
            Remedy("server", 'listen on all interfaces: launch(server_name="0.0.0.0")'),
        ),
    ),
    "no-response": Entry(
        "error",
        "A connection can be made, but the app, or a proxy in front of it, does not respond.",
        (Remedy("server", "see whether the process hangs; restart it"),),
    ),
    "connection-broken": Entry(
        "error",
        "The server closed the connection without a valid response.",
        (
            Remedy("client", "check the port, and whether the URL begins with https://"),
            Remedy("proxy", "see its error log"),
        ),
    ),
    "wrong-scheme": Entry(
        "error",
        "The URL begins with http:// where the server expects TLS, or the other way around.",
        (Remedy("client", "use the other of http:// and https://"),),
    ),
    "tls-expired": Entry(
        "error",
        "The server's certificate is not valid today. Clients refuse it.",
        (
            Remedy("proxy", "renew the certificate, and reload the server"),
            Remedy("client", "check the clock of this machine"),
        ),
    ),
    "tls-self-signed": Entry(
        "error",
        "No authority that this machine trusts has signed the certificate. Clients refuse it.",
        (Remedy("proxy", "use a certificate of a public authority"), _TRUST),
    ),
    "tls-wrong-host": Entry(
        "error",
        "The certificate is for another host name. Clients refuse it.",
        (
            Remedy("client", "use the host name that the certificate is for"),
            Remedy("proxy", "get a certificate for this host name"),
        ),
    ),
    "tls-untrusted": Entry(
        "error",
        "The certificate cannot be verified: often the server does not send the intermediate "
        "certificates, which browsers find on their own.",
        (
            Remedy("proxy", "configure the whole chain (nginx: ssl_certificate fullchain.pem)"),
            _TRUST,
        ),
    ),
    "tls-failed": Entry(
        "error",
        "The server does not speak TLS at this port, or no version of TLS that this client speaks, "
        "or it wants a certificate of the client.",
        (
            Remedy("client", "check the port, and whether the URL begins with http://"),
            Remedy("proxy", "allow TLS 1.2 and 1.3; see its error log"),
        ),
    ),
    # --- The description ---
    "redirect": Entry(
        "error",
        "Something else is at this URL: the app has moved, or a login page is in front of it. "
        "triojob follows no redirect, because credentials must not go elsewhere.",
        (
            Remedy("client", "pass the app's final URL; for a login page, its cookies or headers"),
            Remedy("proxy", "let API clients through with a token instead of a login page"),
        ),
    ),
    "login-required": Entry(
        "error",
        "The app has a login, and lets nobody call it without.",
        (Remedy("client", "pass auth=(user, password)"),),
    ),
    "login-refused": Entry(
        "error",
        "The app does not know this user, or the password is wrong.",
        (Remedy("client", "check auth=(user, password)"),),
    ),
    "login-not-kept": Entry(
        "error",
        "The app accepts the login, but does not recognize its cookie afterwards: the cookie was "
        "lost on the way, or another replica received it.",
        (
            Remedy("proxy", "pass on Set-Cookie and Cookie; send a client to one replica only"),
            Remedy("app", "replicas do not share logins: run one, or use a login in the proxy"),
        ),
    ),
    "proxy-login": Entry(
        "error",
        "A server in front of the app asks for a login of its own.",
        (Remedy("client", "pass an Authorization header, in headers="),),
    ),
    "access-denied": Entry(
        "error",
        "A server in front of the app refuses this client: by its address, its headers, or a "
        "firewall's rules.",
        (Remedy("proxy", "allow this client, and requests of programs"),),
    ),
    "app-down": Entry(
        "error",
        "A proxy responds, but the app behind it does not run, or does not respond in time.",
        (
            Remedy("server", "start the app; see its log"),
            Remedy("proxy", "check the address that it passes requests on to"),
        ),
    ),
    "description-broken": Entry(
        "error",
        "The app runs, but fails to describe itself, so no client can open it.",
        (
            Remedy(
                "app",
                "see its log; if json_schema_to_python_type is in it, update gradio, or install "
                "the pydantic of the time of that release",
            ),
        ),
    ),
    "wrong-path": Entry(
        "error",
        "The URL has the wrong path.",
        (Remedy("client", "pass the URL at which the app was found"),),
    ),
    "not-gradio": Entry(
        "error",
        "What responds is not a Gradio app, or is not at this path.",
        (
            Remedy("client", "pass the URL of the app's page, with its path"),
            Remedy("proxy", "pass on every path below the app's, /config and the API too"),
        ),
    ),
    "unknown-protocol": Entry(
        "error",
        "The app speaks a protocol that this triojob does not know.",
        (Remedy("client", "update triojob"),),
    ),
    "library-missing": Entry(
        "error",
        "triojob needs an optional library to call this release of Gradio.",
        (Remedy("client", "install it: the message names the command"),),
    ),
    # --- The address ---
    "wrong-root": Entry(
        "warning",
        _ROOT,
        (
            Remedy(
                "proxy",
                "pass on Host and X-Forwarded-Proto (nginx: proxy_set_header Host $http_host; "
                "proxy_set_header X-Forwarded-Proto $scheme)",
            ),
            Remedy("app", 'or name the whole URL: launch(root_path="https://example.com/path")'),
        ),
    ),
    "wrong-root-path": Entry(
        "warning",
        _ROOT,
        (Remedy("app", 'name the path at which the proxy has it: launch(root_path="/path")'),),
    ),
    "cookie-lost": Entry(
        "warning",
        "The server sets cookies that clients cannot send back, because of their path, domain or "
        "the attribute Secure. If they choose a replica or hold a login, calls fail.",
        (
            Remedy(
                "proxy",
                "set them for the path and domain of the app (nginx: proxy_cookie_path, "
                "proxy_cookie_domain), and Secure only over https",
            ),
        ),
    ),
    # --- The app ---
    "old-release": Entry(
        "warning",
        "Before Gradio 4.31 no request cancels a running function: a cancelled call may run to its "
        "end on the server. Newer clients of Gradio may not call it at all.",
        (Remedy("app", "update gradio"),),
    ),
    "errors-hidden": Entry(
        "note",
        "If a function of the app raises something other than gr.Error, callers get no message.",
        (Remedy("app", "launch(show_error=True), or raise gr.Error with a message"),),
    ),
    "state": Entry(
        "note",
        "State lives in one process, and ends with it. Gradio keeps it for as many sessions as "
        "launch(state_session_capacity=) says, 10,000 by default, and drops the least recently "
        "used; the app does not say how many. An hour after a session ends, its State may go.",
        (
            Remedy("app", "launch(state_session_capacity=...) for more sessions"),
            Remedy("client", "keep a session open while you need its State: client.session()"),
        ),
    ),
    "queue-waiting": Entry(
        "note",
        "New calls wait behind these. Whether the queue has a bound, and is full, only a call "
        "shows: call= (--call).",
        (Remedy("app", "raise the concurrency limit of the function, or run more replicas"),),
    ),
    "queue-full": Entry(
        "error",
        "The app refuses further calls until some that wait have ended.",
        (
            Remedy("client", "retry=Retry(attempts=None, timeout=600) waits for a free place"),
            Remedy(
                "app", "raise the size of its queue or the concurrency limit, or run more replicas"
            ),
        ),
    ),
    "node-server": Entry(
        "note",
        "A Node server renders the app's pages, and in recent releases passes on the API's "
        "requests too, each over a connection of its own. triojob works with it.",
        (Remedy("app", "launch(ssr_mode=False) removes it"),),
    ),
    "replicas": Entry(
        "error",
        "A Gradio session lives in one process. Calls whose requests reach different ones fail: "
        "the session or the event is not found.",
        (
            Remedy("proxy", "send a client to one replica: nginx ip_hash, or a sticky cookie"),
            Remedy("client", "give all replicas to ClientPool, which needs no load balancer"),
        ),
    ),
    # --- Limits on the way ---
    "keep-alive-off": Entry(
        "note",
        "Each request needs a new connection, and over https a new handshake: calls are slower.",
        (Remedy("proxy", "keep connections for some seconds (nginx: keepalive_timeout 75s)"),),
    ),
    "keep-alive-short": Entry(
        "warning",
        "A request that is sent while the server closes the connection is lost. triojob reuses a "
        "connection for about half a second; other clients reuse it for longer.",
        (
            Remedy(
                "proxy",
                "keep connections for 5 s or more, or not at all (nginx: keepalive_timeout)",
            ),
            Remedy("server", "uvicorn --timeout-keep-alive 5, or more"),
            Remedy("client", "of an httpx client of your own: keepalive_expiry below that time"),
        ),
    ),
    "body-limit": Entry(
        "warning",
        "Larger uploads, and calls with larger arguments, raise FileTooLarge or fail with 413.",
        (Remedy("proxy", "raise the bound (nginx: client_max_body_size 0)"),),
    ),
    "websocket-blocked": Entry(
        "error",
        "Gradio 3 makes each call over a WebSocket, and none can be opened.",
        (
            Remedy(
                "proxy",
                "pass WebSockets on (nginx: proxy_http_version 1.1; proxy_set_header Upgrade "
                '$http_upgrade; proxy_set_header Connection "upgrade")',
            ),
        ),
    ),
    "buffering": Entry(
        "warning",
        "A proxy collects responses. Outputs and status arrive late, all at the end of a call, and "
        "silence does not show whether the app is still there.",
        (
            Remedy("proxy", "turn buffering off (nginx: proxy_buffering off)"),
            Remedy("client", "for functions that are silent for long: Timeouts(max_stream_idle=)"),
        ),
    ),
    "stream-cut": Entry(
        "error",
        "Something on the way ends long responses. A call that takes longer than this raises "
        "ConnectionLost, and nobody knows what became of it.",
        (
            Remedy(
                "proxy",
                "raise the time limit well above 15 s, the interval of heartbeats (nginx: "
                "proxy_read_timeout; load balancers: the request or idle timeout)",
            ),
        ),
    ),
    "rate-limit": Entry(
        "warning",
        "Requests above a rate are refused. triojob sends a refused call again for "
        "Limits.refused_for seconds; other clients fail.",
        (
            Remedy("proxy", "raise the rate or the burst (nginx: limit_req_zone, limit_req)"),
            Remedy("client", "start fewer calls per second: map(..., rate=), --rate"),
        ),
    ),
    "connection-limit": Entry(
        "warning",
        "A running call has one or two connections; those above the limit are refused. triojob "
        "sends a refused call again for Limits.refused_for seconds; other clients fail.",
        (
            Remedy("proxy", "raise the limit (nginx: limit_conn)"),
            Remedy("server", "raise or remove uvicorn --limit-concurrency"),
            Remedy("client", "Limits(in_flight=) of half the limit"),
        ),
    ),
    # --- The call ---
    "call-failed": Entry(
        "error",
        "The call that you asked for fails.",
        (
            Remedy("client", "check its arguments"),
            Remedy("app", "see its log"),
        ),
    ),
    "call-failed-silently": Entry(
        "error",
        "The app's function raised, and the app does not show what.",
        (Remedy("app", "see its log; launch(show_error=True), or raise gr.Error"),),
    ),
}
