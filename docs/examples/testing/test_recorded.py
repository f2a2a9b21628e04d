from trio.testing import MockClock

from triojob.testing import OpenApp

GREETER = "http://127.0.0.1:7860"  # or a Hugging Face Space: "owner/name"


async def test_recorded_app_greets(recorded_app: OpenApp, recorded_clock: MockClock) -> None:
    async with recorded_app(GREETER).client() as client:
        assert await client.predict("Ada", api_name="/greet") == "Hello Ada!"
