"""Masks the secrets of clients in everything that is shown or logged.

A server can return what it received: in an error page, an exception's message, or a file name.
`scrub` masks secrets in a text that becomes a message or a log line.  It knows the secrets of all
clients of the process, so functions that can fail need no reference to a client.

It finds a secret in its original form and in the forms that servers commonly make of it:
percent-encoded, with HTML entities, with JSON or Python escapes, several of these in any order,
and in Base64, alone or as a part of the encoded text.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import uuid
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import NamedTuple, final
from urllib.parse import unquote

from ._lazy import lazy_property

MASK = "***"

_SHORT = 4
"""Texts with fewer characters occur in most messages by chance."""
_LONGEST = 100_000
"""Maximum number of characters of a text that are searched and shown."""
_PASSING = 256
"""Maximum number of temporary secrets that are known, such as cookies that a server sets."""

_PUBLIC = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection"),
        *("content-encoding", "content-length", "content-type", "date", "dnt", "expect", "host"),
        *("origin", "pragma", "priority", "range", "referer", "te", "traceparent", "tracestate"),
        *("transfer-encoding", "upgrade", "user-agent", "x-gradio-user", "x-request-id"),
    }
)
"""Headers that hold no secret; any other header might."""


class _Needle(NamedTuple):
    """A form of a secret, to search for in a text."""

    text: str
    kind: str
    """``"plain"``; ``"word"``, too short to search for inside a word; ``"base64"``; ``"session"``,
    which is followed by hexadecimal digits."""
    is_common: bool
    """Whether it might be a word or a number of triojob's own messages."""


@final
class Secrets:
    """The secrets of one client, known as long as this object exists."""

    def __init__(self) -> None:
        # The prefix of all its session names: it identifies them without a list of them.
        self._sessions = secrets.token_hex(8)
        self._values: set[str] = set()
        self._needles: tuple[_Needle, ...] = tuple(
            needle._replace(kind="session") if needle.kind == "plain" else needle
            for needle in _needles_of(self._sessions)
        )
        self._passing: dict[str, tuple[_Needle, ...]] = {}
        _known[id(self)] = self

    def new_session(self) -> str:
        """Return a new session name; anybody who knows it can cancel the session's calls.

        It consists of hexadecimal digits, which no URL has to quote.
        """
        return self._sessions + uuid.uuid4().hex

    def add(self, *values: str) -> None:
        """Add permanent secrets."""
        for value in values:
            if value not in self._values:
                self._values.add(value)
                self._needles += tuple(_needles_of(value))

    def add_passing(self, *values: str) -> None:
        """Add temporary secrets; each is forgotten after a number of newer ones."""
        for value in values:
            if value not in self._values:
                needles = self._passing.pop(value, None)
                self._passing[value] = needles or tuple(_needles_of(value))
        while len(self._passing) > _PASSING:
            del self._passing[next(iter(self._passing))]

    def needles(self) -> Iterable[_Needle]:
        """Return the forms to search for."""
        # A list immediately: other threads might iterate too.
        return chain(self._needles, *list(self._passing.values()))

    def __repr__(self) -> str:
        return "<Secrets>"

    def __reduce__(self) -> str:
        raise TypeError("secrets can't be pickled")


_known: weakref.WeakValueDictionary[int, Secrets] = weakref.WeakValueDictionary()


def secrets_in_headers(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return the possible secrets in headers: their values, and each cookie.

    It omits values with fewer than four characters, which protect nothing.
    """
    found: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower in ("cookie", "set-cookie"):
            # Of a cookie that is set, the attributes, such as the path, are not secret.
            pairs = value.split(";")[: None if lower == "cookie" else 1]
            found += (pair.partition("=")[2].strip().strip('"') for pair in pairs)
        elif lower not in _PUBLIC:
            scheme, _, rest = value.strip().partition(" ")
            found += (value, rest)
            if scheme.lower() == "basic":
                with suppress(ValueError):
                    login = base64.b64decode(rest).decode("utf-8", "replace")
                    found.append(login.partition(":")[2])
    return [value for value in found if len(value) >= _SHORT]


def scrub(text: str, *, ours: bool = False) -> str:
    """Return ``text`` with all secrets of clients masked, and cut if it is very long.

    Args:
        ours: Whether the text is a message of triojob that contains text of the server.  A secret
            that is an everyday word or number stays unmasked there: a mask in place of a well-known
            word would reveal it.
    """
    return scrub_start(text, _LONGEST, ours=ours)


def scrub_start(text: str | bytes | bytearray, limit: int, *, ours: bool = False) -> str:
    """Return the first ``limit`` characters of a text, scrubbed; with its length, if it is cut.

    No secret is cut in two, because its first half would remain.
    """
    needles = [needle for needle in _all_needles() if not (ours and needle.is_common)]
    # Each character of a secret can be an escape of several characters.
    margin = min(8 * max((len(needle.text) for needle in needles), default=0), _LONGEST)
    most = limit + 2 * margin
    if isinstance(text, str):
        head, size = text[:most], f"{len(text)} characters"
        is_whole = len(head) == len(text)
    else:
        # Decode only the searched part of a huge message: at most four bytes a character.
        head, size = text[: 4 * most].decode("utf-8", "replace"), f"{len(text)} bytes"
        is_whole = len(text) <= 4 * most
    shown = _masked(head, needles)
    if not is_whole:
        shown = shown[: max(0, len(shown) - margin)]
    elif len(shown) <= limit:
        return shown
    return f"{shown[:limit]}… ({size})"


def scrub_each(texts: Sequence[str]) -> tuple[str, ...]:
    """Return names and other parts of messages of triojob, each scrubbed but uncut."""
    needles = [needle for needle in _all_needles() if not needle.is_common]
    together = "\n".join(texts)
    if _masked(together, needles) == together:  # the common case, and faster
        return tuple(texts)
    return tuple(_masked(text, needles) for text in texts)


def scrub_whole(text: str) -> str:
    """Return a text of any length, uncut, with all secrets of clients masked."""
    return _masked(text, _all_needles())


def holds_secret(error: BaseException) -> bool:
    """Return whether an exception of a library, or one in its chain, holds a secret.

    This includes exceptions that can't be examined because their own methods raise.
    """
    try:
        return _holds_secret(error)
    except Exception:  # noqa: BLE001 - raised by foreign code
        return True


def _holds_secret(error: BaseException) -> bool:
    needles = _all_needles()
    chained: list[BaseException] = [error]
    for each in chained:  # the loop appends to it
        before = (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
        chained += (other for other in before if other is not None and other not in chained)
        held: list[object] = [str(each), *each.args, *vars(each).values()]
        for text in (value if isinstance(value, str) else repr(value) for value in held):
            # A longer text is a document of the server, which might hold anything.
            if len(text) > _LONGEST or _masked(text, needles) != text:
                return True
    return False


def _all_needles() -> list[_Needle]:
    # References, in a list immediately: other threads create and drop clients.
    living = [each for reference in _known.valuerefs() if (each := reference()) is not None]
    return [needle for each in living for needle in each.needles()]


def _masked(text: str, needles: list[_Needle]) -> str:
    spans = sorted(span for view in _views(text) for span in view.find(needles))
    if not spans:
        return text
    pieces: list[str] = []
    shown = 0
    for start, end in spans:
        if start >= shown:
            pieces += (text[shown:start], MASK)
        shown = max(shown, end)
    return "".join([*pieces, text[shown:]])


# --- The forms of a secret ---


def _needles_of(value: str) -> Iterator[_Needle]:
    # A server might also decode the text that it receives, as some do with cookies.
    looks = {view.text.strip() for view in _views(value)}
    # A backslash at the end would be parsed as an escape, together with the next character.
    for text in (looks | {look.rstrip("\\") for look in looks}) - {""}:
        is_short = len(text) < _SHORT
        is_common = is_short or text.isdecimal() or (text.isalpha() and text.islower())
        yield _Needle(_plain(text), "word" if is_short else "plain", is_common)
        if not is_short:
            for core in _base64_cores(text.encode("utf-8", "replace")):
                yield _Needle(core, "base64", is_common=False)


def _base64_cores(data: bytes) -> Iterator[str]:
    """Yield the forms of ``data`` in Base64, whatever precedes and follows it there."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        # Without the characters that contain bits of adjacent bytes.
        yield encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _plain(text: str) -> str:
    """Return ``text`` with its plus signs replaced by spaces, as forms encode spaces."""
    return text.replace("+", " ")


def _standard(text: str) -> str:
    """Return ``text`` in the standard Base64 alphabet instead of the alphabet for URLs."""
    return text.replace("-", "+").replace("_", "/")


# --- Decoding of a text ---

_ESCAPES = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>(?:&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,7});)+)"
    r"|(?P<utf16>(?:\\u[0-9A-Fa-f]{4})+)"
    r"|(?P<bytes>(?:\\x[0-9A-Fa-f]{2})+)"
    r"|(?:\\[^ux])+",
    re.DOTALL,
)
_CONTROLS = str.maketrans("bfnrt", "\b\f\n\r\t")
_HEXADECIMAL = re.compile("[0-9a-f]*")
_BASE64 = re.compile("[0-9A-Za-z+/]*=*")
_ALPHABET = f"{string.ascii_letters}{string.digits}+/"


class _Code(NamedTuple):
    """An encoding of a part of a text."""

    pattern: re.Pattern[str]
    decode: Callable[[re.Match[str]], str]
    nested: int
    """How often to decode it in a row: quoted text can be quoted again."""


class _Run(NamedTuple):
    """A part of a text that was encoded: its position when decoded, and its original position."""

    start: int
    end: int
    start_before: int
    end_before: int

    @property
    def shift(self) -> int:
        """The offset from a position after this run to its original position."""
        return self.end_before - self.end


class _View:
    """A text, or its decoded form.

    Args:
        before: The view that it was decoded from.
        code: The encoding that was decoded.
    """

    def __init__(self, text: str, before: _View | None = None, code: _Code | None = None) -> None:
        self.text = text
        self._before = before
        self._code = code

    def decoded(self, code: _Code) -> _View | None:
        """Return the view with ``code`` decoded once; None if it has no encoded parts."""
        text = code.pattern.sub(code.decode, self.text)
        return None if text == self.text else _View(text, self, code)

    @lazy_property
    def _runs(self) -> list[_Run]:
        """The positions of the decoded parts; computed on demand, as hardly any text needs them."""
        assert self._before is not None
        assert self._code is not None
        runs: list[_Run] = []
        read = written = 0
        for match in self._code.pattern.finditer(self._before.text):
            start = written + match.start() - read
            read, written = match.end(), start + len(self._code.decode(match))
            runs.append(_Run(start, written, *match.span()))
        return runs

    def find(self, needles: Iterable[_Needle]) -> Iterator[tuple[int, int]]:
        """Yield the ranges to mask, as positions in the first view."""
        plain, standard = _plain(self.text), _standard(self.text)
        both = f"{plain}\n{standard}"
        # A fast check first, as hardly any text holds a secret.
        for needle in [needle for needle in needles if needle[0] in both]:
            text = standard if needle.kind == "base64" else plain
            end = 0
            while (start := text.find(needle.text, end)) >= 0:
                before, end = end, start + len(needle.text)
                if needle.kind == "word":
                    if text[start - 1 : start].isalnum() or text[end : end + 1].isalnum():
                        continue
                elif needle.kind == "session":
                    end = _end_of(_HEXADECIMAL, text, end)
                elif needle.kind == "base64":
                    # The adjacent characters hold bits of the secret, and might be the rest of it.
                    start = before + len(text[before:start].rstrip(_ALPHABET))
                    end = _end_of(_BASE64, text, end)
                yield self._original(start, end)

    def _original(self, start: int, end: int) -> tuple[int, int]:
        if self._before is None:
            return start, end
        # If a run holds a part of a secret, mask the whole run.
        first, last = self._run_at(start), self._run_at(end - 1)
        if first is not None:
            start = first.start_before if start < first.end else start + first.shift
        if last is not None:
            end = max(end, last.end) + last.shift
        return self._before._original(start, end)

    def _run_at(self, place: int) -> _Run | None:
        """Return the last run that begins at or before a position."""
        index = bisect_right(self._runs, place, key=lambda run: run.start) - 1
        return self._runs[index] if index >= 0 else None


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None  # each pattern also matches the empty string
    return found.end()


def _views(text: str) -> Iterator[_View]:
    """Yield a text as it is, and then with more and more of it decoded."""
    view = _View(text)
    yield view
    # Decoded text can contain escapes, and further encoded text.
    for code in (_ESCAPED, _ENCODED, _ESCAPED, _ENCODED, _ESCAPED):
        before = view
        for _ in range(code.nested):
            decoded = view.decoded(code)
            if decoded is None:
                break
            yield decoded
            view = decoded
        if code is _ENCODED and view is before:
            return


def _unescaped(run: re.Match[str]) -> str:
    text = run[0]
    if run.lastgroup == "percent":
        return unquote(text)
    if run.lastgroup == "entity":
        import html

        return html.unescape(text)
    if run.lastgroup == "utf16":
        decoded: str = json.loads(f'"{text}"')
        return decoded
    if run.lastgroup == "bytes":
        data = bytes.fromhex(text.replace("\\x", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return text[1::2].translate(_CONTROLS)


def _text_of_base64(run: re.Match[str]) -> str:
    """Return the decoded Base64 text; a match that is not Base64 stays unchanged."""
    digits = _standard(run[1])
    with suppress(ValueError):
        text = base64.b64decode(digits + "=" * (-len(digits) % 4)).decode()
        if text.isprintable():
            return text
    return run[0]


_ESCAPED = _Code(_ESCAPES, _unescaped, nested=3)
_ENCODED = _Code(re.compile("([0-9A-Za-z+/_-]{8,})={0,2}"), _text_of_base64, nested=1)
