"""Spaces: apps that Hugging Face hosts.

- `names`: parses a client's source: a URL, or a Space by its name or page; no I/O
- `tokens`: finds Hugging Face tokens, and decides which call a token goes with
- `stages`: the hub's status of a Space, and the action for each stage; no I/O
- `resolve`: finds a Space's host, and waits until it runs
- `duplicate`: copies Spaces; the only user of huggingface_hub
"""
