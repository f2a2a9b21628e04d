"""Files, to an app and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa.eras.support import PASSWORD, USERNAME, Era, behaviour
from tests.support.real import opened
from triojob import AppError, File, handle_file

TEXT = "some text\n" * 1000


@behaviour("Files", "from a path, downloaded")
async def test_file_goes_to_the_app_and_back(era: Era, tmp_path: Path) -> None:
    source = tmp_path / "caf\u00e9.txt"
    source.write_text(TEXT, encoding="utf-8")
    async with opened(era.wide, download_files=tmp_path / "down") as client:
        local = await client.predict(handle_file(source), api_name="/upper_file")
    assert Path(local).is_relative_to(tmp_path / "down")
    assert Path(local).read_text(encoding="utf-8") == TEXT.upper()


@behaviour("Files", "from memory, as a handle")
async def test_file_from_memory_becomes_a_handle(era: Era, tmp_path: Path) -> None:
    async with opened(era.wide, download_files=False) as client:
        marked = handle_file(TEXT.encode(), name="a.txt")
        file = await client.predict(marked, api_name="/upper_file")
        assert isinstance(file, File)
        saved = await file.save(tmp_path)
        async with file.open() as stream:
            content = b"".join([bytes(chunk) async for chunk in stream])
    assert saved.read_text(encoding="utf-8") == TEXT.upper() == content.decode()


@behaviour("Files", "a bare path is refused")
async def test_a_bare_path_is_refused_here(era: Era) -> None:
    async with opened(era.wide) as client:
        with pytest.raises(TypeError, match="handle_file"):
            client.submit("/etc/hostname", api_name="/upper_file")


@behaviour("Files", "after a login")
async def test_a_file_after_a_login(era: Era, tmp_path: Path) -> None:
    async with opened(era.guarded, auth=(USERNAME, PASSWORD), download_files=tmp_path) as client:
        marked = handle_file(b"abc", name="a.txt")
        local = await client.predict(marked, api_name="/upper_file")
        assert Path(local).read_bytes() == b"ABC"


@behaviour("Files", "a dictionary is no file")
async def test_lookalike_of_a_file_is_not_read(era: Era, tmp_path: Path) -> None:
    path = str(tmp_path / "none.txt")
    looks = {
        "path": path,
        "name": path,
        "is_file": True,
        "meta": {"_type": "gradio.FileData"},
    }
    async with opened(era.wide, download_files=tmp_path / "down") as client:
        # The app finds no such file; whoever read it here would not have found it either.
        with pytest.raises(AppError):
            await client.predict(looks, api_name="/upper_file")
