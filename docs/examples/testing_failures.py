import trio
import trio.testing

from triojob import AppError, ConnectionLost, Retry
from triojob.testing import ScriptedApp

app = ScriptedApp()


@app.endpoint("/divide")
def divide(a: float, b: float) -> float:
    if b == 0:
        raise AppError("b is 0", title="No result", duration=5)  # as gr.Error in an app
    return a / b


@app.endpoint("/fragile")
async def fragile() -> str:
    await trio.sleep(1)
    app.drop_connections()
    return "never sent"


async def main() -> None:
    async with app.client() as client:
        try:
            await client.predict(1, 0, api_name="/divide")
        except AppError as error:
            print(f"{error.title}: {error}")

        try:
            await client.predict(api_name="/fragile")
        except ConnectionLost as error:
            print(type(error).__name__)

        app.refuse(429, times=2, retry_after=30)
        started = trio.current_time()
        divide = client.endpoint("/divide").with_retry(Retry(timeout=None, wait_jitter=0))
        print(await divide(6, 3), "after", round(trio.current_time() - started), "s")


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

# prints:
# > No result: b is 0
# > ConnectionLost
# > 2.0 after 60 s
