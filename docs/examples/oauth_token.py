import trio

from triojob import AuthenticationError, Client

URL = "http://127.0.0.1:7860"


async def main() -> None:
    async with Client(URL) as client:
        try:
            await client.predict("Ada", api_name="/act")
        except AuthenticationError as exc:
            print(exc)

    async with Client(URL, oauth_token="hf_made_up") as client:
        print(await client.predict("Ada", api_name="/act"))
        print(await client.predict("Ada", api_name="/greet"))  # does not receive the token


trio.run(main)

# prints:
# > /act acts with your Hugging Face token: if you trust this app, pass Client(oauth_token=...)
# > Ada with 10 characters up to e_up
# > Hello Ada!
