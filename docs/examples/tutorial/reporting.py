from collections.abc import AsyncIterator

import trio

from triojob import JobGroup, Status, StatusUpdate, report


async def download(pages: int) -> str:
    for page in range(pages):
        report.progress((page, pages), desc=f"page {page + 1}", unit="pages")
        await trio.sleep(0.01)
    report.log("that was all of it")
    return f"{pages} pages"


async def squares(numbers: int) -> AsyncIterator[int]:
    for number in range(numbers):
        await trio.sleep(0.01)
        yield number * number


async def main() -> None:
    async with JobGroup() as group:
        job = group.submit(download, 2)
        async for update in job.updates():
            if isinstance(update, StatusUpdate) and update.code is Status.PROGRESS:
                print(update.progress_data)
        print(await job.result(), "-", job.status().log)

        outputs = [square async for square in group.submit(squares, 4)]
        print(outputs)


trio.run(main)

# prints:
# > [ProgressUnit(index=0, length=2, unit='pages', progress=None, desc='page 1')]
# > [ProgressUnit(index=1, length=2, unit='pages', progress=None, desc='page 2')]
# > 2 pages - LogMessage(text='that was all of it', level='info', ...)
# > [0, 1, 4, 9]
