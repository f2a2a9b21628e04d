import trio

from triojob import Client, Status, StatusUpdate, handle_file

URL = "http://127.0.0.1:7860"


async def main() -> None:
    large = handle_file(b"x" * 1_000_000, name="large.bin")
    async with Client(URL, download_files=False) as client:
        job = client.submit([large], api_name="/join_files")
        async for update in job.updates():
            if isinstance(update, StatusUpdate) and update.code is Status.STARTING:
                for unit in update.progress_data or []:
                    print(f"{unit.desc}: {unit.index} of {unit.length} {unit.unit}")
            elif isinstance(update, StatusUpdate):
                print(update.code.name)
                break


trio.run(main)

# prints:
# > large.bin: 0 of 1000000 bytes
# > ...
# > large.bin: 1000000 of 1000000 bytes
# > JOINING_QUEUE
