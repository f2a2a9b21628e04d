"""Spaces: apps that Hugging Face hosts.

- `names`: what a client is to open: a URL, or a Space by its name or page; no I/O
- `tokens`: where Hugging Face tokens come from, and which call one goes with
- `stages`: what the hub says of a Space, and what to do in each stage; no I/O
- `resolve`: finds a Space's host, and waits until it runs
- `duplicate`: copies of Spaces; the only user of huggingface_hub
"""
