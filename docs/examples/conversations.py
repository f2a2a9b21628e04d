import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def converse(client: Client, name: str, answers: dict[str, list[str]]) -> None:
    """Hold a conversation of three messages."""
    async with client.session() as session:  # this user's own State
        say = session.endpoint("/converse")
        answers[name] = [await say(f"{name} {turn}") for turn in range(3)]


async def main() -> None:
    answers: dict[str, list[str]] = {}
    async with Client(URL) as client, trio.open_nursery() as nursery:
        for name in ("Ada", "Grace"):
            nursery.start_soon(converse, client, name, answers)
    for name in sorted(answers):
        print(*answers[name], sep="\n")


trio.run(main)

# prints:
# > You said 'Ada 0' after 0 messages.
# > You said 'Ada 1' after 2 messages.
# > You said 'Ada 2' after 4 messages.
# > You said 'Grace 0' after 0 messages.
# > You said 'Grace 1' after 2 messages.
# > You said 'Grace 2' after 4 messages.
