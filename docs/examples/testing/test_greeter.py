from pathlib import Path

import pytest

from triojob import Client
from triojob.testing import StartGradio

GREETER = Path(__file__).parent / "greeter.py"


@pytest.fixture(scope="module")
def greeter_url(gradio_app: StartGradio) -> str:
    return gradio_app(GREETER).url


async def test_real_app_greets(greeter_url: str) -> None:
    async with Client(greeter_url) as client:
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
