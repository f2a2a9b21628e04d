import trio

from triojob import Client


async def render_within(client: Client, rows: int, seconds: float) -> str:
    with trio.move_on_after(seconds):
        return await client.predict(rows, api_name="/render")
    return "too slow"
