import importlib
import sys
import tempfile
from pathlib import Path

import trio

from triojob import Client, JobGroup

URL = "http://127.0.0.1:7860"


async def main(folder: Path) -> None:
    async with Client(URL) as client:
        # What `triojob stubs URL > my_app.py` does, once.
        (folder / "my_app.py").write_text(client.stubs(), encoding="utf-8")
        my_app = importlib.import_module("my_app")  # in your code: import my_app

        app = my_app.App(client)
        print(await app.greet("Ada"))  # a str
        print(await app.add(2, b=3))  # a tuple[float, float]

        async with JobGroup() as group:
            job = group.submit(app.tokens, 3, delay=0)  # a Job[str]
            async for text in job:
                print(text)


with tempfile.TemporaryDirectory() as name:
    sys.path.insert(0, name)
    trio.run(main, Path(name))

# prints:
# > Hello Ada!
# > (5, 6)
# > tok0
# > tok0 tok1
# > tok0 tok1 tok2
