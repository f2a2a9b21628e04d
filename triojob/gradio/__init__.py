"""The Gradio side: everything that knows what a Gradio app is.

The order of this list is from bottom to top; each folder imports only from those before it:

- `http`: requests and responses; the only importer of httptools, and of httpx in this folder
- `protocol`: what a server and a client say to each other; no sockets
- `files`: files on their way to an app, and from it
- `spaces`: apps that Hugging Face hosts
- `schema`: an app's description of itself, and what is made of it
- `session`: which calls share a session, how many are in flight, and how one is cancelled
- `call`: one call of an endpoint: its attempts, its files, its way to a session and back
- `endpoint`: `Endpoint`, which makes calls
- `surface`: what clients, sessions and pools have in common
- `statistics`: `ClientStatistics`
- `client`: `Client` and `ClientSession`
- `pool`: replicas of an app behind one client
"""
