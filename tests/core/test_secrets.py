"""The scrubber: which secrets it finds, in what forms, and what it leaves as it is."""

from __future__ import annotations

import base64
import gc
import html
import json
import pickle
import sys
from urllib.parse import quote, urlencode

import pytest

from tests.servers.echoing import FORMS, Form, looks_of
from triojob import AppError, EndpointNotFound, ProtocolError, ValidationError
from triojob._exceptions import raise_from, short_repr, shorten
from triojob._secrets import MASK, Secrets, scrub, scrub_start, secrets_in_headers
from triojob.gradio.http.urls import public_part

SECRETS = {
    "a password": 'corr3ct&"h0rse+/é \\',
    "a token": "hf_AbCdEf-gh_IJKL",
    "a JWT": "eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJ-SMeKK",
    "a cookie": "s%3Aabcd.efg%2Bh",
    "four characters": "q7Zx",
    "digits": "48151623",
    "a word": "swordfish",
    "escapes": r"a\u0041b\nc%41&amp;d",
}


def known(*values: str) -> Secrets:
    secrets = Secrets()
    secrets.add(*values)
    return secrets


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_masked_in_each_form(secret: str, form: Form) -> None:
    secrets = known(secret)
    shown = scrub(f"before {form(secret)} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert MASK in shown
    # Quotes, and what else a form puts around it.
    assert len(shown) <= len(f"before  after{MASK}") + 16
    assert not [name for name, look in looks_of(secret).items() if look in shown]
    del secrets


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENVELOPES: dict[str, Form] = {
    "JSON": lambda secret: in_base64(json.dumps({"password": secret, "a": 1})),
    "a form": lambda secret: in_base64(urlencode({"user": "ada", "password": secret})),
    "HTML": lambda secret: in_base64(f"<h1>{html.escape(secret)}</h1>"),
    "Base64": lambda secret: in_base64(in_base64(f"ada:{secret}")),
    "JSON in a URL": lambda secret: quote(in_base64(json.dumps([secret])), safe=""),
    "a form in JSON": lambda secret: json.dumps(in_base64(urlencode({"password": secret}))),
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_whole_encodings_are_looked_into(secret: str, envelope: Form) -> None:
    secrets = known(secret)
    assert scrub(f"a: {envelope(secret)}.").strip('a: ".') == MASK
    del secrets


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_base64_is_found_inside_more(before: int, after: int) -> None:
    secrets = known("q7Zx9")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(b"\xff" * before + b"q7Zx9" + b"\xfe" * after).decode()
        assert scrub(f"a {encoded} b") == f"a {MASK} b"
    del secrets


def test_a_session_is_masked_without_being_kept() -> None:
    secrets = Secrets()
    before = sys.getsizeof(vars(secrets)), len([*secrets.needles()])
    sessions = [secrets.new_session() for _ in range(1000)]
    assert len(set(sessions)) == 1000
    assert (sys.getsizeof(vars(secrets)), len([*secrets.needles()])) == before
    for session in sessions:
        assert scrub(f"no session {session}.") == f"no session {MASK}."
        assert scrub(f"no session {session[:20]}.") == f"no session {MASK}."


@pytest.mark.parametrize(
    "secret, text, shown",
    [
        ("pw", "pw is wrong, as (pw)", f"{MASK} is wrong, as ({MASK})"),
        ("e", "the error", "the error"),
        ("e", "e: no", f"{MASK}: no"),
        ("12", "line 12 of 1234", f"line {MASK} of 1234"),
        ("", "nothing", "nothing"),
        (" ", "a b", "a b"),
    ],
)
def test_short_secret_is_masked_as_word(secret: str, text: str, shown: str) -> None:
    secrets = known(secret)
    assert scrub(text) == shown
    del secrets


@pytest.mark.parametrize("secret", ["server", "7860", "pw"])
def test_our_own_words_stay_visible(secret: str) -> None:
    """A mask in the place of a word that everybody knows would tell what the secret is."""
    secrets = known(secret)
    ours = f"127.0.0.1:7860: the server wants a login, pw: {shorten(f'no {secret}')}"
    assert str(ProtocolError(ours)) == ours
    assert shorten(f"no {secret}") == f"no {MASK}"
    del secrets


def test_no_error_of_ours_holds_a_secret() -> None:
    secrets = known("q7Zx9")
    words = "it said q7Zx9"
    errors = [
        ProtocolError(words),
        AppError(words, title=words),
        ValidationError(words, errors={words: words}),
        EndpointNotFound(words, available=(words,), nearest=words),
    ]
    assert "q7Zx9" not in repr([(error, str(error), vars(error)) for error in errors])
    assert "q7Zx9" not in repr([vars(pickle.loads(pickle.dumps(error))) for error in errors])
    assert str(errors[0]) == "it said ***"
    del secrets


@pytest.mark.parametrize("place", range(150, 260))
def test_no_secret_is_cut_in_two(place: int) -> None:
    """What is left of it at the end of what is shown would be a part of it."""
    secret = "".join(chr(ord("A") + number % 26) + str(number % 10) for number in range(20))
    secrets = known(secret)
    filler = "." * place
    for text in (filler + secret + filler, filler + 9 * secret, 99 * secret + secret[:-1]):
        for shown in (shorten(text), shorten(text.encode()), short_repr([text]), short_repr(text)):
            assert secret[:4] not in shown
    assert shorten(text, 30).endswith(f" ({len(text)} characters)")
    del secrets


def test_a_secret_is_forgotten_with_its_client() -> None:
    secrets = known("q7Zx9")
    assert scrub("q7Zx9") == MASK
    del secrets
    gc.collect()
    assert scrub("q7Zx9") == "q7Zx9"


def test_passing_secrets_are_forgotten_after_others() -> None:
    secrets = Secrets()
    for number in range(1000):
        secrets.add_passing(f"cookie-{number:04}")
    assert len([*secrets.needles()]) < 2000
    assert scrub("cookie-0999 cookie-0800 cookie-0000") == f"{MASK} {MASK} cookie-0000"
    secrets.add_passing("cookie-0800")
    for number in range(1000, 1250):
        secrets.add_passing(f"cookie-{number:04}")
    assert scrub("cookie-0800 cookie-0900") == f"{MASK} cookie-0900"


def test_what_may_be_secret_in_headers() -> None:
    basic = base64.b64encode(b"ada:q7Zx9").decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "x-api-key": "k3y-of-mine",
        "Cookie": 'a=first; b="second"; c=1',
        "Set-Cookie": "d=third; Path=/path; HttpOnly",
        "X-Feature": "on",
        "User-Agent": "program/1.0",
        "Accept-Language": "en-US",
    }
    found = secrets_in_headers(headers.items())
    assert {*found} == {
        *(f"Basic {basic}", basic, "q7Zx9", "k3y-of-mine"),
        *("first", "second", "third"),
    }


class Mute(Exception):
    """An exception that can't be looked at."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __repr__


def test_cause_that_holds_secret_is_not_shown() -> None:
    secrets = known("q7Zx9")

    def chained(cause: Exception) -> BaseException:
        with pytest.raises(ProtocolError) as caught:
            try:
                raise cause
            except Exception as exc:  # noqa: BLE001 - whatever it is
                raise_from(ProtocolError("no"), exc)
        return caught.value

    harmless = OSError(7, "no such file")
    assert chained(harmless).__cause__ is harmless
    inner = ValueError("words")
    inner.__cause__ = KeyError("q7Zx9")
    odd = ValueError("words")
    odd.doc = {"a": ["q7Zx9"]}  # type: ignore[attr-defined]
    unreadable = UnicodeDecodeError("utf-8", b"q7Zx9\xff", 5, 6, "invalid")
    for cause in (ValueError("q7Zx9"), inner, odd, unreadable, Mute(), ValueError(Mute())):
        error = chained(cause)
        assert error.__cause__ is None
        assert error.__context__ is None
    del secrets


@pytest.mark.parametrize(
    "piece", ["A", "%41", '\\"', "&amp;", "\\u0041", "\\\\", "%25", "q7Zx", "cTdaeDk", "A "]
)
def test_the_cost_of_a_text_is_linear(piece: str) -> None:
    secrets = known("q7Zx9", "A" * 30)

    def steps(count: int) -> int:
        made = 0

        def trace(*_: object) -> object:
            nonlocal made
            made += 1
            return trace

        text = piece * count
        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            scrub(text)
        finally:
            sys.settrace(before)
        return made

    steps(1)  # fills the caches of the standard library
    assert steps(2000) <= 2.2 * steps(1000) + 100
    del secrets


def test_a_text_without_end_is_cut() -> None:
    secrets = known("q7Zx9")
    text = "ab " * 10**6
    shown = scrub(text)
    assert shown.startswith("ab ab ")
    assert len(shown) < 101_000
    assert shown.endswith("… (3000000 characters)")
    assert scrub_start(text.encode(), 5) == "ab ab… (3000000 bytes)"
    del secrets


def test_secrets_show_nothing_of_themselves() -> None:
    secrets = known("q7Zx9")
    assert repr(secrets) == "<Secrets>"
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(secrets)


@pytest.mark.parametrize(
    "url, shown",
    [
        ("http://host:7860/a@b/c?key=q7Zx9#q7Zx9", "http://host:7860/a@b/c"),
        ("http://ada:q7Zx9@host:7860/a@b", "http://host:7860/a@b"),
        ("http://q7Zx9@[::1]:7860/", "http://[::1]:7860/"),
        ("http://[::1]/a", "http://[::1]/a"),
        ("http://ada:q7@Zx9@host", "http://host"),
        *((f"http://ada:q7{odd}Zx9@host/a", "http://host/a") for odd in ("/", "//", "?", "#")),
        ("http://ada:q7Zx9", "http://ada"),
        ("http://host?a@b", "http://host"),
        ("/login?next=q7Zx9", "/login"),
        ("owner/name", "owner/name"),
        ("//host/a//b", "//host/a//b"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert public_part(url) == shown
