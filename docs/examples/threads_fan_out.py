import concurrent.futures

from triojob.sync import Client

URL = "http://127.0.0.1:7860"

with Client(URL, verbose=False) as client:
    names = ("Ada", "Grace", "Edsger")
    jobs: dict[concurrent.futures.Future[str], str]
    jobs = {client.submit(name, api_name="/greet"): name for name in names}
    replies = {jobs[job]: job.result() for job in concurrent.futures.as_completed(jobs)}
    print([replies[name] for name in names])

    slow = client.submit(60, "first", api_name="/slow")
    quick = client.submit("Barbara", api_name="/greet")
    done, others = concurrent.futures.wait(
        [slow, quick], return_when=concurrent.futures.FIRST_COMPLETED
    )
    print([job.result() for job in done])
    for job in others:
        job.cancel()

# prints:
# > ['Hello Ada!', 'Hello Grace!', 'Hello Edsger!']
# > ['Hello Barbara!']
