import subprocess
import sys
from pathlib import Path

import pytest
import trio

from triojob import Client
from triojob.testing import StartGradio

pytest_plugins = ["triojob.testing.pytest"]  # in a project: in the conftest.py at the top

GREETER = Path(__file__).parent.parent / "testing" / "greeter.py"


@pytest.fixture(scope="module")
def greeter_url(gradio_app: StartGradio) -> str:
    return gradio_app(GREETER).url


def test_the_real_app_greets(greeter_url: str) -> None:
    async def greet() -> str:
        async with Client(greeter_url) as client:
            return await client.predict("Ada", api_name="/greet")

    assert trio.run(greet) == "Hello Ada!"


if __name__ == "__main__":
    subprocess.run([sys.executable, "-m", "pytest", "-q", __file__], check=True)

# prints:
# > .  ...
# > 1 passed in ...
