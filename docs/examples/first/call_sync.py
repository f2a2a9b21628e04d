from triojob.sync import Client

client = Client("http://127.0.0.1:7860", max_workers=2)
jobs = [client.submit(name, api_name="/greet") for name in ("Ada", "Grace", "Edsger")]
print([job.result() for job in jobs])

# prints:
# > ['Hello Ada!', 'Hello Grace!', 'Hello Edsger!']
