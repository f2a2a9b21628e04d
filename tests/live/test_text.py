"""Words of apps on a line: none of them can do anything but be read."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given, strategies as st

from triojob._live._rendering import shorten
from triojob._live._text import LONGEST, error_text, number, one_line, text_of


@pytest.mark.parametrize(
    "text, line",
    [
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("back\x08space\x7f", "back\\x08space\\x7f"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("next\u2028line\x85", "next line"),
        ("half \ud800", "half \\ud800"),
        ("[bold]no markup[/]", "[bold]no markup[/]"),
        (
            "\u0646\u0645\u06cc\u200c\u0634\u0648\u062f",
            "\u0646\u0645\u06cc\u200c\u0634\u0648\u062f",
        ),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469"),
    ],
)
def test_a_text_becomes_one_harmless_line(text, line):
    assert one_line(text) == line


@given(st.text())
def test_text_has_no_control_characters(text):
    assert not [
        character
        for character in one_line(text)
        if unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")
        or (unicodedata.category(character) == "Cf" and character != "\u200c")
    ]


def test_long_text_is_looked_at_partly():
    text = "a" * 10**6 + "b"
    assert one_line(text) == "a" * LONGEST
    assert one_line(text, tail=True) == "a" * (LONGEST - 1) + "b"


@given(st.text(max_size=60), st.integers(1, 30), st.booleans())
def test_shortened_text_fits_its_width(text, width, tail):
    from rich.cells import cell_len

    line = one_line(text)
    short = shorten(line, width, tail=tail)
    assert cell_len(short) <= width
    assert short == line or "…" in short


@pytest.mark.parametrize(
    "value, text",
    [
        ("words", "words"),
        (("", "second", "third"), "second"),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}], "ho"),
        ([], ""),
        ({}, ""),
        ({"role": "user", "content": [{"type": "text", "text": "part"}]}, "part"),
        ([[[[[[[["too deep"]]]]]]]], ""),
        (None, ""),
        (True, ""),
        (0.5, "0.5"),
        (object(), ""),
    ],
)
def test_the_words_in_an_output_are_found(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (8, "8"),
        (8.0, "8"),
        (0.123456, "0.1235"),
        (123456789, "123456789"),
        (1e300, "1e+300"),
        (10**400, None),
        (math.nan, None),
        (math.inf, None),
        ("8", None),
        (None, None),
        (True, None),
    ],
)
def test_number_is_written_briefly(value, text):
    assert number(value) == text


def test_error_with_broken_text_is_shown():
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert error_text(Bad()) == "Bad: <its text raised RuntimeError>"
    assert error_text(ValueError("two\nlines")) == "ValueError: two lines"
    assert error_text(ValueError()) == "ValueError"
