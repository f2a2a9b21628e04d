"""A server that shows what it was sent, in each form that servers commonly make of it."""

from __future__ import annotations

import base64
import html
import json
import traceback
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any

from triojob.testing._server.http import ServerRequest

Form = Callable[[str], str]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: dict[str, Form] = {
    "plain": str,
    "percent": lambda text: urllib.parse.quote(text, safe=""),
    "path": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "html": html.escape,
    "entities": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "json": lambda text: json.dumps(text)[1:-1],
    "utf16": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "repr": lambda text: repr(text)[1:-1],
    "bytes": lambda text: repr(text.encode())[2:-1],
    "base64": _base64,
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "basic": lambda text: _base64(f"user:{text}"),
    "percent twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "json in json": lambda text: json.dumps(json.dumps(text))[1:-1],
    "html of json": lambda text: html.escape(json.dumps(text)),
    "percent of base64": lambda text: urllib.parse.quote(_base64(text), safe=""),
}


def sent(request: ServerRequest, form: Form) -> str:
    """Return all that came with a request: each part in a form, and all of them together."""
    parts = [request.target, *request.headers.values(), request.body.decode("utf-8", "replace")]
    for pair in request.headers.get("cookie", "").split(";"):
        parts.append(pair.partition("=")[2])
    fields = urllib.parse.parse_qsl(parts[-2])
    parts += [value for _, value in fields]
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if isinstance(body, dict):
        parts += [value for value in body.values() if isinstance(value, str)]
    parts += urllib.parse.parse_qs(urllib.parse.urlsplit(request.target).query).get(
        "session_hash", []
    )
    return " ".join([*map(form, parts), form(" ".join(parts))])


def shown(error: BaseException) -> str:
    """Return all that there is to see of an exception, and of all that led to it."""
    texts = [*traceback.format_exception(error)]
    chained: list[BaseException] = [error]
    for each in chained:
        more = (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
        chained += [other for other in more if other is not None and other not in chained]
        texts += [str(each), repr(each), repr(each.args), repr(_inside(vars(each)))]
    return "\n".join(texts)


def _inside(value: Any) -> Any:
    """Return what the attributes of an exception hold."""
    if isinstance(value, dict):
        return {name: _inside(item) for name, item in value.items()}
    return vars(value) if hasattr(value, "__dict__") else value


def looks_of(secret: str) -> dict[str, str]:
    """Return what a secret looks like in each form, alone and in the middle of other text."""
    looks = {name: form(secret) for name, form in FORMS.items() if "base64" not in name}
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + secret.encode()).decode()
        # The characters at both ends depend on what is around it.
        looks[f"base64 after {before}"] = encoded[(before * 8 + 5) // 6 : -4]
    return looks


def found_in(text: str, secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Return which secrets a text has, and in which form."""
    return [
        (secret, name)
        for secret in secrets
        for name, look in looks_of(secret).items()
        if look in text
    ]
