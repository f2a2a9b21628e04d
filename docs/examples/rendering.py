from typing import Any

import trio

from triojob import Client, RenderUpdate

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client, client.session() as session:
        # In the app: @gr.render(inputs=n, ...), which creates n text boxes and their functions.
        job = session.submit(2, api_name="/apply")
        made: list[dict[str, Any]] = []
        async for update in job.updates():
            if isinstance(update, RenderUpdate):
                made = update.config["dependencies"]
        print([function["api_name"] for function in made])

        say = session.endpoint(fn_index=made[0]["id"])
        print(await say("hello"))
        print(await session.predict("hello", api_name="/say_1"))


trio.run(main)

# prints:
# > ['say_0', 'bump_0', 'say_1', 'bump_1']
# > 0: hello
# > 1: hello
