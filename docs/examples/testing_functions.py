from collections.abc import Awaitable, Callable

import trio
import trio.testing

from triojob import AppError, JobGroup

Translate = Callable[[str], Awaitable[str]]


# The code to test: it receives an endpoint, and only calls it.
async def translate_all(translate: Translate, texts: list[str]) -> list[str]:
    replies: list[str] = []
    async with JobGroup(limit=4) as group:
        for job in [group.submit(translate, text) for text in texts]:
            await job.wait()
            replies.append("?" if job.exception() else await job.result())
    return replies


# In the test, an async function replaces the endpoint.
async def fake_translate(text: str) -> str:
    await trio.sleep(3600)
    if not text:
        raise AppError("nothing to translate")
    return text.upper()


async def test_translates_all() -> None:
    started = trio.current_time()
    assert await translate_all(fake_translate, ["one", "", "three"]) == ["ONE", "?", "THREE"]
    print("took", round(trio.current_time() - started), "s on the mock clock")


trio.run(test_translates_all, clock=trio.testing.MockClock(autojump_threshold=0))

# prints:
# > took 3600 s on the mock clock
