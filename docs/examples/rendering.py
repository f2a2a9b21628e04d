import sys

import trio

from triojob import Client, RenderUpdate

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client, client.session() as session:
        # In the app: @gr.render(inputs=n, ...), which makes n text boxes and their functions.
        job = session.submit(2, api_name="/apply")
        async for update in job.updates():
            if isinstance(update, RenderUpdate):
                functions = [function["api_name"] for function in update.config["dependencies"]]
                number = update.config["dependencies"][0]["id"]
                print(functions)

        say = session.endpoint(fn_index=number)
        print(await say("hello"))
        print(await session.predict("hello", api_name="/say_1"))


trio.run(main)

# prints:
# > ['say_0', 'bump_0', 'say_1', 'bump_1']
# > 0: hello
# > 1: hello
