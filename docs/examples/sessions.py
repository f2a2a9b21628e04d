import sys

import trio

from triojob import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        print("client:", await client.predict(api_name="/bump"))
        print("client:", await client.predict(api_name="/bump"))

        async with client.session() as session:  # another State
            print("session:", await session.predict(api_name="/bump"))

        print("client:", await client.predict(api_name="/bump"))


trio.run(main)

# prints:
# > client: 1
# > client: 2
# > session: 1
# > client: 3
