from collections.abc import AsyncIterator

import trio
import trio.testing

from triojob import Client, report
from triojob.testing import ScriptedApp

app = ScriptedApp()


@app.endpoint("/translate")
async def translate(text: str, target: str = "fr") -> str:
    await trio.sleep(3)
    return f"{text} ({target})"


@app.endpoint("/story")
async def story(sentences: int) -> AsyncIterator[str]:
    text = ""
    for number in range(sentences):
        report.progress((number, sentences), desc="telling")
        await trio.sleep(1)
        text += f"Sentence {number}. "
        yield text


# The code to test.
async def tell(client: Client) -> str:
    text = await client.predict(2, api_name="/story")
    return await client.predict(text, api_name="/translate")


async def main() -> None:
    async with app.client() as client:  # an ordinary Client
        print(await tell(client))
        print([text async for text in client.submit(2, api_name="/story")])

    app.assert_called("/story", times=2)
    app.assert_called_with("/translate", target="fr")
    app.assert_no_jobs_left()
    for call in app.calls:
        print(call)


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

# prints:
# > Sentence 0. Sentence 1.  (fr)
# > ['Sentence 0. ', 'Sentence 0. Sentence 1. ']
# > /story(sentences=2): finished
# > /translate(text='Sentence 0. Sentence 1. ', target='fr'): finished
# > /story(sentences=2): finished
