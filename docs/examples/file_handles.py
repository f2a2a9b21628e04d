import tempfile

import trio

from triojob import Client, handle_file

URL = "http://127.0.0.1:7860"


async def main(folder: str) -> None:
    async with Client(URL, download_files=False) as client:
        note = handle_file(b"some words", name="note.txt")
        file = await client.predict(note, api_name="/upper_file")
        print(file.name, file.size)  # nothing is downloaded yet

        path = await file.save(folder)
        print(path.name, "says", path.read_text())

        async with file.open() as stream:
            async for chunk in stream:
                print(chunk)


with tempfile.TemporaryDirectory() as name:
    trio.run(main, name)

# prints:
# > upper.txt 10
# > upper.txt says SOME WORDS
# > b'SOME WORDS'
