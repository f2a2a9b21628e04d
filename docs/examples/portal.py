from concurrent.futures import ThreadPoolExecutor

import triojob
from triojob import sync

URL = "http://127.0.0.1:7860"


async def has_greet(url: str) -> bool:
    async with triojob.Client(url) as client:
        return client.endpoint("/greet").name == "/greet"


with sync.start_portal() as portal:  # a thread with its own Trio run
    print(portal.call(has_greet, URL))  # any async function can run there
    with sync.Client(URL, portal=portal) as client, ThreadPoolExecutor(4) as pool:
        names = ["Ada", "Grace", "Edsger", "Barbara"]
        print(list(pool.map(lambda name: client.predict(name, api_name="/greet"), names)))

# prints:
# > True
# > ['Hello Ada!', 'Hello Grace!', 'Hello Edsger!', 'Hello Barbara!']
