"""Hugging Face tokens: finds them, and decides which call a token goes with; no network.

There are two tokens, and they are never mixed.  ``Client(token=)`` authorizes the caller: it is
sent to the hub and to the Space's own origin, in a header.  ``Client(oauth_token=)`` is for the
app's code to act with, and is sent in the body of a call of an endpoint that declares that it takes
one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..._exceptions import AuthenticationError

_SPACE_HEADER = "x-hf-authorization"


class Token:
    """A token that is shown only on explicit request."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the token itself."""
        return self._value

    @property
    def bearer(self) -> str:
        """The value of the header that carries it."""
        return f"Bearer {self._value}"

    def __repr__(self) -> str:
        return "<Token>"

    def __reduce__(self) -> str:
        raise TypeError("a token can't be pickled")


def make_token(value: str, name: str) -> Token:
    """Return ``value`` as a token.

    Args:
        name: The name of the argument, as users know it.

    Raises:
        ValueError: It can't be a token; the message doesn't show it.
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users' own words
        raise TypeError(f"{name}= must be a token as text, not {type(value).__name__}")
    # A token that is read from a file includes the line end.
    value = value.strip()
    # Any other character would end the header that contains the token.
    if not value or not all("!" <= character <= "~" for character in value):
        raise ValueError(f"{name}= is empty, or contains characters that are invalid in a token")
    return Token(value)


def find_token(token: str | bool | None) -> Token | None:  # noqa: FBT001 - `token=True` is the field's way to say it
    """Return the token that ``Client(token=)`` selects; None unless one was requested.

    True selects the token that the command ``hf auth login`` saved on this machine: the variable
    HF_TOKEN (or HUGGING_FACE_HUB_TOKEN), else the file that HF_TOKEN_PATH names, else ``token`` in
    the folder HF_HOME (documented in huggingface_hub, "Environment variables").

    Raises:
        ValueError: It can't be a token, or none is saved.
    """
    if token is None or token is False:
        return None
    if token is not True:
        return make_token(token, "token")
    saved = saved_token()
    if saved is None:
        raise ValueError(
            "token=True uses the token saved on this machine, but there is none; "
            "run `hf auth login`, set HF_TOKEN, or pass the token itself"
        )
    return make_token(saved, "the saved token, which token")


def may_use_saved_token() -> bool:
    """Return whether a token is saved, and can be used without an explicit request.

    HF_HUB_DISABLE_IMPLICIT_TOKEN turns this off (huggingface_hub).
    """
    unwanted = os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in _TRUE
    return not unwanted and saved_token() is not None


def saved_token() -> str | None:
    """Return the token that is saved on this machine, or None."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):  # the latter is the older name
        token = os.environ.get(name, "").strip()
        if token:
            return token
    return _read(_token_path()) or None


_TRUE = ("1", "ON", "YES", "TRUE")
"""The values that huggingface_hub takes for true in a variable."""


def _token_path() -> Path:
    # The same steps as in huggingface_hub (constants.py).
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~") / ".cache")
    home = os.environ.get("HF_HOME") or str(Path(cache) / "huggingface")
    path = os.environ.get("HF_TOKEN_PATH") or str(Path(home) / "token")
    return Path(os.path.expandvars(path)).expanduser()


def _read(path: Path) -> str | None:
    try:
        # Text that is not UTF-8 can't be a token, and an error about it would contain it.
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None


def oauth_token_for(
    endpoint: str, wanted: str | None, given: Token | None, *, may_be_logged_in: bool
) -> str | None:
    """Return the OAuth token to send with a call, or None.

    Args:
        wanted: The endpoint's declaration in ``/info``: ``"required"``, ``"optional"`` or None
            (gradio 6.31, ``utils.py``, ``oauth_token_requirement``).
        given: The user's token for this app.
        may_be_logged_in: Whether cookies of the user may identify them to the app, as a browser's
            do.

    Raises:
        AuthenticationError: The app would refuse the call without one.
    """
    if wanted is None:
        return None
    if given is not None:
        return given.reveal()
    if wanted == "required" and not may_be_logged_in:
        raise AuthenticationError(
            f"{endpoint} acts with your Hugging Face token: "
            "if you trust this app, pass Client(oauth_token=...)"
        )
    return None


def space_headers(token: Token | None, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return ``headers`` and the header that carries a token to a Space.

    The proxy in front of the Space removes this header, so that the app's code never receives it;
    it is sent with each request, including streams (gradio_client 2.7, ``client.py``).

    Raises:
        ValueError: The caller's own headers contain that name.
    """
    own = dict(headers or {})
    if token is None:
        return own
    if any(name.lower() == _SPACE_HEADER for name in own):
        raise ValueError(f"the token is in both token= and headers= ({_SPACE_HEADER}); remove one")
    return {**own, _SPACE_HEADER: token.bearer}
