import trio

from triojob import Client, ConnectionFailed, NetworkError, Timeouts


async def main() -> None:
    timeouts = Timeouts(connect=2, read=30)
    try:
        async with Client("http://127.0.0.1:1", timeouts=timeouts):
            print("somebody serves on port 1")
    except ConnectionFailed as exc:  # nothing was sent
        print(isinstance(exc, NetworkError), isinstance(exc, ConnectionError))


trio.run(main)

# prints:
# > True True
