import trio

from triojob import Client


async def main() -> None:
    async with Client("http://127.0.0.1:7860") as client:
        print("client:", await client.predict(api_name="/count"))
        print("client:", await client.predict(api_name="/count"))

        async with client.session() as session:  # its own State
            print("session:", await session.predict(api_name="/count"))

        print("client:", await client.predict(api_name="/count"))


trio.run(main)

# prints:
# > client: 1
# > client: 2
# > session: 1
# > client: 3
