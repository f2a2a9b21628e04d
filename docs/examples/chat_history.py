from copy import deepcopy
from typing import Any

import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        history: list[dict[str, Any]] = []
        job = client.submit("Hello", 3, 0.05, api_name="/chat")
        async for history in job:
            print(len(history), "messages, the last:", history[-1]["content"][0]["text"].strip())

        kept = deepcopy(history)  # outputs share parts: change a copy
        kept.append({"role": "user", "content": "And then?"})
        print([message["role"] for message in kept])


trio.run(main)

# prints:
# > ...
# > 2 messages, the last: tok0 tok1 tok2
# > ['user', 'assistant', 'user']
