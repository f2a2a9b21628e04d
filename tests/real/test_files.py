"""Files to a real app and back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from tests.support.gradio import ServeGradio
from tests.support.real import opened
from triojob import File, FileTooLarge, Job, Limits, handle_file

MIB = 2**20


async def test_files_of_all_kinds_come_back(gradio_url, tmp_path):
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 20_000)
    odd = tmp_path / "ödd näme (1) 漢字.txt"
    odd.write_bytes(b"odd")
    contents = [large.read_bytes(), b"odd", b"", b"bytes", b"from the middle"]
    with large.open("rb") as file:
        file.seek(5_120_000 - 15)
        contents[4] = large.read_bytes()[-15:]
        async with opened(gradio_url, download_files=tmp_path / "out") as client:
            paths = await client.predict(
                [
                    handle_file(large),
                    handle_file(odd),
                    handle_file(b"", name="empty.bin"),
                    handle_file(b"bytes", name="b.bin"),
                    handle_file(file, name="tail.bin"),
                ],
                api_name="/join_files",
            )
    assert [Path(path).read_bytes() for path in paths] == contents


async def test_the_same_file_in_two_places(gradio_url: str, tmp_path: Path) -> None:
    marked = handle_file(b"twice", name="t.bin")
    async with opened(gradio_url, download_files=tmp_path) as client:
        first, second = await client.predict([marked, marked], api_name="/join_files")
        assert Path(first).read_bytes() == Path(second).read_bytes() == b"twice"
        # A JSON component hands on what it gets: the file's description.
        value = await client.predict({"deep": [marked, "text"]}, api_name="/echo")
        assert Path(value["deep"][0]).read_bytes() == b"twice"
        assert value["deep"][1] == "text"


async def test_a_gallery_that_grows_by_edits(gradio_url: str, tmp_path: Path) -> None:
    async with opened(gradio_url, download_files=tmp_path) as client:
        job: Job[list[dict[str, str]]] = client.submit(4, api_name="/pictures")
        shown = [output async for output in job]
        assert [len(output) for output in shown] == [1, 2, 3, 4]
        for output in shown:
            for place, item in enumerate(output):
                assert item["caption"] == f"picture {place}"
                assert Path(item["image"]).read_bytes().endswith(b";" + b"." * place)
        assert [item["image"] for item in shown[0]] == [shown[3][0]["image"]]
        assert await job.result() == shown[3]


async def test_too_large_for_the_app(serve_gradio: ServeGradio, tmp_path: Path) -> None:
    url = serve_gradio("--max-file-size", "1mb")
    async with opened(url, download_files=tmp_path) as client:
        with pytest.raises(FileTooLarge, match=f"{MIB + 1} bytes.*{MIB} bytes"):
            client.submit(handle_file(b"x" * (MIB + 1)), api_name="/join_files")
        local = await client.predict([handle_file(b"x" * MIB)], api_name="/join_files")
        assert Path(local[0]).stat().st_size == MIB
        # What the app says of itself may be wrong: then the server's own answer counts.
        assert client._settings is not None
        client._settings = replace(client._settings, max_file_size=None)
        with pytest.raises(FileTooLarge, match="accepts no file"):
            await client.predict([handle_file(b"x" * (8 * MIB))], api_name="/join_files")


async def test_a_cancelled_upload_leaves_the_app_usable(gradio_url: str, tmp_path: Path) -> None:
    async with opened(gradio_url, download_files=tmp_path, limits=Limits(transfers=1)) as client:
        for _ in range(5):
            job = client.submit([handle_file(b"x" * (64 * MIB))], api_name="/join_files")
            async for update in job.updates():
                if getattr(update, "progress_data", None):
                    break
            job.cancel()
            await job.wait()
        local = await client.predict(handle_file(b"abc", name="a.txt"), api_name="/upper_file")
        assert Path(local).read_bytes() == b"ABC"


async def test_sound_is_followed_as_it_comes(gradio_url: str, tmp_path: Path) -> None:
    async with opened(gradio_url) as client:
        job = client.submit(4, 0.2, api_name="/radio")
        async for file in job:
            assert isinstance(file, File)
            assert file.is_stream
            parts = [part async for part in file.segments()]
            break
        assert b"".join(parts) == b"part 0;part 1;part 2;part 3;"
        file = await job.result()
        # A session of Gradio's keeps its streams for as long as it is remembered.
        saved = await file.save(tmp_path)
        assert saved.read_bytes() == b"part 0;part 1;part 2;part 3;"


BENCHMARK = Path(__file__).parent.parent.parent / "benchmarks" / "files_memory.py"


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells of no peak this way")
async def test_memory_does_not_grow_with_the_size(gradio_url: str) -> None:
    # In a process of its own: this one's peak has been elsewhere before.
    command = [sys.executable, str(BENCHMARK), "--mib", "64", "--bound", "16", "--url", gradio_url]
    done = await trio.run_process(
        command, capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout.decode()
    assert b"64 MiB each way" in done.stdout
