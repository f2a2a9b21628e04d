import trio

from triojob import Client

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        print(await client.predict("Ada", api_name="/greet"))

        jobs = [client.submit(name, api_name="/greet") for name in ("Grace", "Edsger")]
        print([await job.result() for job in jobs])

        story = client.submit(3, 0.1, api_name="/tokens")
        async for text in story:
            print(text)
        print(story.status().code)


trio.run(main)

# prints:
# > Hello Ada!
# > ['Hello Grace!', 'Hello Edsger!']
# > tok0
# > tok0 tok1
# > tok0 tok1 tok2
# > Status.FINISHED
