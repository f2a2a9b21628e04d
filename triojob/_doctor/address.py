"""The address that the app believes to have, and its cookies."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..gradio.http.urls import public_part, same_origin
from .catalog import found
from .context import Context, NotApplicable, NotChecked
from .findings import Finding

_COOKIE = re.compile(r"(?:^|,)\s*([^\s;,=]+)=")
"""The name of a cookie in the joined headers ``Set-Cookie``; a date has no ``=`` behind its comma.
"""


async def address(context: Context) -> list[Finding]:
    """Compare the app's own idea of its URL with the URL that reaches it."""
    root = context.app.config.get("root")
    base = context.http.base
    if not isinstance(root, str) or not root.startswith(("http://", "https://")):
        raise NotChecked("this release does not say where it believes to be")
    believed = root if root.endswith("/") else root + "/"
    if same_origin(believed, base) and urlsplit(believed).path == urlsplit(base).path:
        return []
    shown = public_part(root)
    saw = f"the app believes to be at {shown}, and was reached at {base}"
    code = "wrong-root-path" if same_origin(believed, base) else "wrong-root"
    return [found(code, saw, root=shown, url=base)]


async def cookies(context: Context) -> list[Finding]:
    """See whether cookies that were set would be sent back."""
    if not context.set_cookies:
        raise NotApplicable("the app sets no cookies before a call")
    http = context.http
    names = [name for header in context.set_cookies for name in _COOKIE.findall(header)]
    sent = http.httpx_client.build_request("GET", http.url("/queue/join")).headers.get("cookie", "")
    kept = {pair.partition("=")[0].strip() for pair in sent.split(";")}
    lost = [name for name in dict.fromkeys(names) if name not in kept]
    if not lost:
        return []
    shown = ", ".join(repr(name) for name in lost[:5])
    saw = f"{len(lost)} of {len(set(names))} cookies would not be sent back: {shown}"
    return [found("cookie-lost", saw, cookies=lost[:5])]
