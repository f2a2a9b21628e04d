from typing import Any

from triojob.bulk import BatchCaller

URL = "http://127.0.0.1:7860"

caller = BatchCaller(URL, "/validated", inputs={"name": "person", "age": "years"}, limit=8)
people: dict[str, list[Any]] = {
    "person": ["Ada", "", "Grace"],
    "years": [36, 20, 85],
}
done = caller(people)  # a dict of lists; also arrays, a DataFrame or an Arrow table
for result, error in zip(done["result"], done["error"], strict=True):
    print(result or error)

# prints:
# > Ada is 36
# > ValidationError: calling /validated: the app refused the input: name: A name is needed.
# > Grace is 85
