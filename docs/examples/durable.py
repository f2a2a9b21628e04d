import trio

import triojob

URL = "http://127.0.0.1:7860"
PEOPLE = [
    {"id": "a", "name": "Ada", "age": 36},
    {"id": "g", "name": "Grace", "age": 85},
    {"id": "e", "name": "Edsger", "age": -1},
]


async def main() -> None:
    async with triojob.Client(URL) as client:
        check = client.endpoint("/validated")
        async with triojob.durable_map(
            check, PEOPLE, store="people.jsonl", key="id", keywords=True
        ) as outcomes:
            async for outcome in outcomes:
                if outcome.ok:
                    print(outcome.key, outcome.result)
                else:
                    print(outcome.key, outcome.outcome, outcome.error_class)


trio.run(main)

# prints:
# > a Ada is 36
# > g Grace is 85
# > e app_error ValidationError
