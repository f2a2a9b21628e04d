import tempfile
from collections.abc import Iterable
from pathlib import Path

import trio
from PIL import Image

import triojob
from triojob import Client, handle_file

URL = "http://127.0.0.1:7860"


def make_pictures(folder: Path) -> None:
    """Make three pictures, half red and half blue, and one invalid file."""
    for number in range(3):
        picture = Image.new("RGB", (64, 32), "red")
        picture.paste((0, number, 255), (32, 0, 64, 32))
        picture.save(folder / f"{number}.png")
    (folder / "broken.png").write_text("no picture")


async def main(sources: Iterable[Path], results: Path) -> None:
    await trio.Path(results).mkdir()
    async with Client(URL, download_files=results / "downloads") as client:
        mirror = client.endpoint("/mirror")

        async def mirror_file(source: Path) -> Path:
            """Send a picture; save the result under the name of the source."""
            downloaded = await mirror(handle_file(source))
            return Path(await trio.Path(downloaded).rename(results / source.name))

        async with triojob.map(mirror_file, sources, limit=8, return_jobs=True) as mirrored:
            async for source, job in mirrored:
                if job.exception() is None:
                    left = Image.open(await job.result()).getpixel((0, 0))
                    print(source.name, "now has", left, "at its left")
                else:
                    print(source.name, "failed:", type(job.exception()).__name__)


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    make_pictures(folder)
    # Any iterable works, and is read as needed: a million files need no list.
    trio.run(main, sorted(folder.glob("*.png")), folder / "results")

# prints:
# > 0.png now has (0, 0, 255) at its left
# > 1.png now has (0, 1, 255) at its left
# > 2.png now has (0, 2, 255) at its left
# > broken.png failed: AppError
