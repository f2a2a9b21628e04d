import trio

from triojob import AppError
from triojob.testing import RecordedApp, record


async def main() -> None:
    async with record("http://127.0.0.1:7860", "app.jsonl").client() as client:
        print(await client.predict("Ada", api_name="/greet"))

    # From now on, the app and the network are not needed.
    async with RecordedApp("app.jsonl").client() as client:
        print(await client.predict("Ada", api_name="/greet"))

    try:
        async with RecordedApp("app.jsonl").client() as client:
            print(await client.predict("Bob", api_name="/greet"))
    except AppError as error:
        print(error)


trio.run(main)

# prints:
# > Hello Ada!
# > Hello Ada!
# > app.jsonl has no call of /greet with these arguments; the nearest one is number 1 of 1:
# > --- recorded
# > +++ called
# >  {
# > -  "name": "Ada"
# > +  "name": "Bob"
# >  }
