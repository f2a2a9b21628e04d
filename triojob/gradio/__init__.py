"""The Gradio side: everything that depends on Gradio.

The order of this list is from bottom to top; each folder imports only from those before it:

- `http`: requests and responses; the only importer of httptools, and of httpx in this folder
- `protocol`: the messages between a server and a client; no sockets
- `files`: uploads to an app, and downloads from it
- `spaces`: apps that Hugging Face hosts
- `schema`: an app's description of itself, and the types and stubs derived from it
- `session`: which calls share a session, how many are in flight, and how one is cancelled
- `call`: one call of an endpoint: its attempts, its files and its session
- `endpoint`: `Endpoint`, which makes calls
- `surface`: the interface that clients, sessions and pools share
- `statistics`: `ClientStatistics`
- `client`: `Client` and `ClientSession`
- `pool`: replicas of an app behind one client
"""
