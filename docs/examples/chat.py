import trio

from triojob import Client, Job, JobCancelled

URL = "http://127.0.0.1:7860"


async def show(job: Job[str], stop_button: trio.Event | None = None) -> None:
    """Print an answer while the app writes it."""
    shown = ""
    try:
        async for answer in job:  # each output is the whole answer so far
            print(answer.removeprefix(shown), end="", flush=True)
            shown = answer
            if stop_button is not None and len(shown.split()) >= 3:
                stop_button.set()  # here the reader clicks the button
    except JobCancelled:
        print(" [stopped]")
    else:
        print()


async def stop_when_clicked(button: trio.Event, job: Job[str]) -> None:
    await button.wait()
    job.cancel("the reader has seen enough")


async def main() -> None:
    # A session is a conversation.
    async with Client(URL) as client, client.session() as chat:
        await show(chat.submit("Hello", api_name="/converse"))
        await show(chat.submit("Again", api_name="/converse"))

        stop_button = trio.Event()
        async with trio.open_nursery() as nursery:
            job = chat.submit("Tell me everything", api_name="/converse")
            nursery.start_soon(show, job, stop_button)
            nursery.start_soon(stop_when_clicked, stop_button, job)

        async with client.session() as another:  # has its own history
            await show(another.submit("Hello", api_name="/converse"))


trio.run(main)

# prints:
# > You said 'Hello' after 0 messages.
# > You said 'Again' after 2 messages.
# > You said 'Tell... [stopped]
# > You said 'Hello' after 0 messages.
