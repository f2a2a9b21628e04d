import tempfile
from pathlib import Path

import trio

from triojob import Client, handle_file

URL = "http://127.0.0.1:7860"


async def main(folder: Path) -> None:
    letter = folder / "letter.txt"
    letter.write_text("dear reader")

    async with Client(URL, download_files=folder / "downloads") as client:
        path = await client.predict(handle_file(letter), api_name="/upper_file")
        print(Path(path).name, "says", await trio.Path(path).read_text())

        # Files can be anywhere in the arguments, and need not come from the disk.
        note = handle_file(b"no file at all", name="note.txt")
        paths = await client.predict([handle_file(letter), note], api_name="/join_files")
        print([Path(path).name for path in paths])

        try:
            client.submit(str(letter), api_name="/upper_file")
        except TypeError as exc:
            print(exc)
        try:
            client.submit(handle_file(folder / "missing.txt"), api_name="/upper_file")
        except FileNotFoundError as exc:
            print(exc)


with tempfile.TemporaryDirectory() as name:
    trio.run(main, Path(name))

# prints:
# > upper.txt says DEAR READER
# > ['letter.txt', 'note.txt']
# > parameter 'path' of /upper_file takes a file: pass handle_file(...); triojob reads ...
# > [Errno 2] parameter 'path' of /upper_file: No such file or directory: '...missing.txt'
