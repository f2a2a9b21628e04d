"""Names that a server gives are one harmless component of a path, whatever they were."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from triojob.gradio.files.names import MAX_NAME, safe_name


@pytest.mark.parametrize(
    "given_name, name",
    [
        ("report.pdf", "report.pdf"),
        ("Ünïcode 漢字.txt", "Ünïcode 漢字.txt"),
        # Paths
        ("/etc/passwd", "passwd"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ("a/b\\c/d.txt", "d.txt"),
        # Nothing is left
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("...", "file"),
        ("a/", "file"),
        ("a/..", "file"),
        (" . . ", "file"),
        # Drives and alternate data streams
        ("C:evil.txt", "C_evil.txt"),
        ("file.txt:hidden", "file.txt_hidden"),
        ("file.txt::$DATA", "file.txt__$DATA"),
        # Controls, and marks that turn the direction of text
        ("a\x00b.txt", "a_b.txt"),
        ("a\nb\r\x1b[31m.txt", "a_b__[31m.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\u2028b", "a_b"),
        ("half\ud800.txt", "half_.txt"),
        # Devices of Windows, with any ending
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("com1.log", "_com1.log"),
        ("LPT¹", "_LPT¹"),
        ("aux .txt", "_aux .txt"),
        ("CONIN$", "_CONIN$"),
        ("console.txt", "console.txt"),
        # Hidden files
        (".bashrc", "_bashrc"),
        ("..bashrc", "_bashrc"),
        # What Windows takes off the end
        ("evil.exe. . .", "evil.exe"),
        ("trailing ", "trailing"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
    ],
)
def test_bad_names_become_harmless(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


def test_long_names_keep_their_suffix() -> None:
    assert safe_name("x" * 300 + ".txt") == "x" * (MAX_NAME - 4) + ".txt"
    assert safe_name("é" * 300 + ".txt") == "é" * ((MAX_NAME - 4) // 2) + ".txt"
    # What is no suffix is not kept.
    assert safe_name("a." + "b" * 300) == "a." + "b" * (MAX_NAME - 2)
    assert len(safe_name("x" * 195 + "." + "é" * 50).encode()) <= MAX_NAME
    # Nor does cutting bring back what was taken off the end.
    assert safe_name("x" * 199 + ". " + "y" * 100) == "x" * 199


def test_first_that_is_name_is_taken() -> None:
    assert safe_name(None, "..", "a/b.txt", "c.txt") == "b.txt"
    assert safe_name(3, {"a": 1}) == "file"
    assert safe_name() == "file"


@given(st.text(), st.text(alphabet="./\\:. \x00conCON1é", max_size=400))
def test_no_name_exceeds_a_component(text: str, odd: str) -> None:
    for name in (safe_name(text), safe_name(odd)):
        assert name not in ("", ".", "..")
        assert not set(name) & set('/\\:\x00<>"|?*')
        assert not name.startswith(".")
        assert not name.endswith((".", " "))
        assert len(name.encode()) <= MAX_NAME
        assert safe_name(name) == name
