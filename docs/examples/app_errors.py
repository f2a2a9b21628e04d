import trio

from triojob import AppError, Client, EndpointNotFound, ValidationError

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        try:
            await client.predict(api_name="/fail")
        except AppError as exc:
            print(exc.endpoint, exc.title, exc.message)

        try:
            await client.predict("", 200, api_name="/validated")
        except ValidationError as exc:
            print(exc.errors)

        try:
            client.endpoint("/gret")
        except EndpointNotFound as exc:
            print("did you mean", exc.nearest)

        try:
            client.submit(name="Ada", nme="Grace", api_name="/greet")
        except TypeError as exc:
            print(exc)


trio.run(main)

# prints:
# > /fail Oops boom
# > {'name': 'A name is needed.', 'age': 'Nobody is of that age.'}
# > did you mean /greet
# > /greet(name) has no parameter 'nme'; did you mean 'name'?
