from gradio_client import Client

URL = "http://127.0.0.1:7860"

client = Client(URL, verbose=False)
print(client.predict("Ada", api_name="/greet"))

jobs = [client.submit(name, api_name="/greet") for name in ("Grace", "Edsger")]
print([job.result() for job in jobs])

story = client.submit(3, 0.1, api_name="/tokens")
for text in story:
    print(text)
print(story.status().code)

# prints:
# > Hello Ada!
# > ['Hello Grace!', 'Hello Edsger!']
# > tok0
# > tok0 tok1
# > tok0 tok1 tok2
# > Status.FINISHED
