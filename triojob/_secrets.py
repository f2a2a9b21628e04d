"""Masks the secrets of clients in everything that is shown or logged.

A server may show what it was sent: in an error page, in the words of an exception, in a file name.
`scrub` masks that in a text that becomes a message or a log line.  It knows the secrets of all
clients of the process, so that no function that may fail has to be handed a client.

A secret is found as it was sent, and as what servers commonly make of it: percent-encoded, with
HTML entities, with the escapes of JSON or Python, several of these in any order, and in Base64,
alone or as a part of what was encoded.
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
"""What has fewer characters is in most texts by chance."""
_LONGEST = 100_000
"""How many characters of a text are looked at, and shown, at most."""
_PASSING = 256
"""How many secrets that come and go are known, such as cookies that a server sets."""

_PUBLIC = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection"),
        *("content-encoding", "content-length", "content-type", "date", "dnt", "expect", "host"),
        *("origin", "pragma", "priority", "range", "referer", "te", "traceparent", "tracestate"),
        *("transfer-encoding", "upgrade", "user-agent", "x-gradio-user", "x-request-id"),
    }
)
"""Headers that hold no secret; any other may."""


class _Needle(NamedTuple):
    """What a secret looks like in a text."""

    text: str
    kind: str
    """``"plain"``; ``"word"``, too short to be sought inside one; ``"base64"``; ``"session"``,
    with hexadecimal digits to follow."""
    is_common: bool
    """Whether it may be a word or a number of our own sentences."""


@final
class Secrets:
    """The secrets of one client, known for as long as this object lives."""

    def __init__(self) -> None:
        # All names of its sessions begin so: any number of them is known, and none is kept.
        self._sessions = secrets.token_hex(8)
        self._values: set[str] = set()
        self._needles: tuple[_Needle, ...] = tuple(
            needle._replace(kind="session") if needle.kind == "plain" else needle
            for needle in _needles_of(self._sessions)
        )
        self._passing: dict[str, tuple[_Needle, ...]] = {}
        _known[id(self)] = self

    def new_session(self) -> str:
        """Return a name for a session; whoever knows it can cancel what runs there.

        It has hexadecimal digits alone, which no URL has to quote.
        """
        return self._sessions + uuid.uuid4().hex

    def add(self, *values: str) -> None:
        """Take in secrets for good."""
        for value in values:
            if value not in self._values:
                self._values.add(value)
                self._needles += tuple(_needles_of(value))

    def add_passing(self, *values: str) -> None:
        """Take in secrets, each of which is forgotten when many others have followed it."""
        for value in values:
            if value not in self._values:
                needles = self._passing.pop(value, None)
                self._passing[value] = needles or tuple(_needles_of(value))
        while len(self._passing) > _PASSING:
            del self._passing[next(iter(self._passing))]

    def needles(self) -> Iterable[_Needle]:
        """Return what to look for."""
        # A list at once: other threads may be looking.
        return chain(self._needles, *list(self._passing.values()))

    def __repr__(self) -> str:
        return "<Secrets>"

    def __reduce__(self) -> str:
        raise TypeError("secrets are not pickled")


_known: weakref.WeakValueDictionary[int, Secrets] = weakref.WeakValueDictionary()


def secrets_in_headers(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return what may be secret in headers: what they hold, and each cookie.

    What has fewer than four characters protects nothing, and is left out.
    """
    found: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower in ("cookie", "set-cookie"):
            # Of one that is set the rest, such as its path, is no secret.
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
    """Return ``text`` with a mask for each secret of a client, and cut if it is very long.

    Args:
        ours: Whether it is a sentence of triojob's, with words of the server's in it.  A secret
            that is an everyday word or number is left there: a mask in the place of a word that
            everybody knows would tell it.
    """
    return scrub_start(text, _LONGEST, ours=ours)


def scrub_start(text: str | bytes | bytearray, limit: int, *, ours: bool = False) -> str:
    """Return the first ``limit`` characters of a text, as `scrub` has it, and how long it is.

    No secret is cut in two: the first half of it would be left.
    """
    needles = [needle for needle in _all_needles() if not (ours and needle.is_common)]
    # Each character of a secret may be an escape of several.
    margin = min(8 * max((len(needle.text) for needle in needles), default=0), _LONGEST)
    most = limit + 2 * margin
    if isinstance(text, str):
        head, size = text[:most], f"{len(text)} characters"
        is_whole = len(head) == len(text)
    else:
        # Of a message that is huge no more is decoded than is looked at: four bytes a character.
        head, size = text[: 4 * most].decode("utf-8", "replace"), f"{len(text)} bytes"
        is_whole = len(text) <= 4 * most
    shown = _masked(head, needles)
    if not is_whole:
        shown = shown[: max(0, len(shown) - margin)]
    elif len(shown) <= limit:
        return shown
    return f"{shown[:limit]}… ({size})"


def scrub_each(texts: Sequence[str]) -> tuple[str, ...]:
    """Return names and other parts of sentences of ours, as `scrub` has each; uncut."""
    needles = [needle for needle in _all_needles() if not needle.is_common]
    together = "\n".join(texts)
    if _masked(together, needles) == together:  # as nearly always, and faster
        return tuple(texts)
    return tuple(_masked(text, needles) for text in texts)


def holds_secret(error: BaseException) -> bool:
    """Tell whether an exception of a library, or one that led to it, holds a secret.

    So does one that can't be looked at, as its own methods raise.
    """
    try:
        return _holds_secret(error)
    except Exception:  # noqa: BLE001 - it is somebody else's
        return True


def _holds_secret(error: BaseException) -> bool:
    needles = _all_needles()
    chained: list[BaseException] = [error]
    for each in chained:  # it grows meanwhile
        before = (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))
        chained += (other for other in before if other is not None and other not in chained)
        held: list[object] = [str(each), *each.args, *vars(each).values()]
        for text in (value if isinstance(value, str) else repr(value) for value in held):
            # What is longer is a document of the server's, whatever is in it.
            if len(text) > _LONGEST or _masked(text, needles) != text:
                return True
    return False


def _all_needles() -> list[_Needle]:
    # References in a list at once: other threads make clients and drop them.
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


# --- What a secret looks like ---


def _needles_of(value: str) -> Iterator[_Needle]:
    # A server may also decode what it was sent, as some do with cookies.
    looks = {view.text.strip() for view in _views(value)}
    # A backslash at the end would be read as an escape, with what follows.
    for text in (looks | {look.rstrip("\\") for look in looks}) - {""}:
        is_short = len(text) < _SHORT
        is_common = is_short or text.isdecimal() or (text.isalpha() and text.islower())
        yield _Needle(_plain(text), "word" if is_short else "plain", is_common)
        if not is_short:
            for core in _base64_cores(text.encode("utf-8", "replace")):
                yield _Needle(core, "base64", is_common=False)


def _base64_cores(data: bytes) -> Iterator[str]:
    """Yield what ``data`` looks like in Base64, whatever stands before and after it there."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        # Without the characters that have bits of a neighbour too.
        yield encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]


def _plain(text: str) -> str:
    """Return ``text`` with spaces for the plus signs that forms make of them."""
    return text.replace("+", " ")


def _standard(text: str) -> str:
    """Return ``text`` with the usual alphabet of Base64 for the one of URLs."""
    return text.replace("-", "+").replace("_", "/")


# --- What a text says, below its escapes ---

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
    """A way in which a part of a text may be encoded."""

    pattern: re.Pattern[str]
    decode: Callable[[re.Match[str]], str]
    nested: int
    """How often it is decoded at once: what was quoted may be quoted again."""


class _Run(NamedTuple):
    """A part of a text that was encoded: where it is decoded, and where it stood."""

    start: int
    end: int
    start_before: int
    end_before: int

    @property
    def shift(self) -> int:
        """How far what follows stood behind where it stands."""
        return self.end_before - self.end


class _View:
    """A text, or what it decodes to.

    Args:
        before: The view that it was decoded from.
        code: What was decoded.
    """

    def __init__(self, text: str, before: _View | None = None, code: _Code | None = None) -> None:
        self.text = text
        self._before = before
        self._code = code

    def decoded(self, code: _Code) -> _View | None:
        """Return it with what is in a code decoded once; None if nothing is."""
        text = code.pattern.sub(code.decode, self.text)
        return None if text == self.text else _View(text, self, code)

    @lazy_property
    def _runs(self) -> list[_Run]:
        """Where it has what the view before has in a code; hardly any text needs that."""
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
        """Yield where in the first view there is something to be masked."""
        plain, standard = _plain(self.text), _standard(self.text)
        both = f"{plain}\n{standard}"
        # First what is quick, as hardly any text holds a secret.
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
                    # The neighbours have bits of the secret, and may be the rest of it.
                    start = before + len(text[before:start].rstrip(_ALPHABET))
                    end = _end_of(_BASE64, text, end)
                yield self._original(start, end)

    def _original(self, start: int, end: int) -> tuple[int, int]:
        if self._before is None:
            return start, end
        # Of a run that has a part of it, all is masked.
        first, last = self._run_at(start), self._run_at(end - 1)
        if first is not None:
            start = first.start_before if start < first.end else start + first.shift
        if last is not None:
            end = max(end, last.end) + last.shift
        return self._before._original(start, end)

    def _run_at(self, place: int) -> _Run | None:
        """Return the last run that begins at a place or before it."""
        index = bisect_right(self._runs, place, key=lambda run: run.start) - 1
        return self._runs[index] if index >= 0 else None


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None  # each of them matches nothing, too
    return found.end()


def _views(text: str) -> Iterator[_View]:
    """Yield a text as it stands, and then with more and more of it decoded."""
    view = _View(text)
    yield view
    # What was encoded may be text with escapes, and with more that was encoded, too.
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
    """Return the text that Base64 stands for; what is none stays as it is."""
    digits = _standard(run[1])
    with suppress(ValueError):
        text = base64.b64decode(digits + "=" * (-len(digits) % 4)).decode()
        if text.isprintable():
            return text
    return run[0]


_ESCAPED = _Code(_ESCAPES, _unescaped, nested=3)
_ENCODED = _Code(re.compile("([0-9A-Za-z+/_-]{8,})={0,2}"), _text_of_base64, nested=1)
