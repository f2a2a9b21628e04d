"""Record what the replay server says from the real app: ``python -m benchmarks._record``.

Needed only when the app or the release of Gradio changes.  It writes ``recorded/config.json``,
``recorded/info.json`` (with ``http://ROOT`` for the app's address) and ``recorded/calls.json``.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from ._servers import HERE, running

RECORDED = HERE / "recorded"
API = "/gradio_api"
CALLS: dict[str, Any] = {"echo": "hi", "second": "hi", "text": 4, "chat": 102, "stopped": "no key"}


def names_of(client: httpx.Client) -> list[str]:
    """Return the endpoints' names, in order."""
    dependencies = client.get("/config").json()["dependencies"]
    return [dependency["api_name"] for dependency in dependencies]


def call(client: httpx.Client, name: str, value: Any, *, cancel_after: int | None = None) -> Any:
    """Make one call, cancelled after so many messages; return its messages."""
    fn_index = names_of(client).index(name)
    session_hash = f"recorded-{name}"
    ids = {"fn_index": fn_index, "session_hash": session_hash}
    join = {"data": [value], "event_data": None, "trigger_id": None, **ids}
    event_id = client.post(f"{API}/queue/join", json=join).json()["event_id"]
    messages: list[Any] = []
    with client.stream("GET", f"{API}/queue/data?session_hash={session_hash}") as response:
        for line in response.iter_lines():
            if line:
                messages.append(json.loads(line.removeprefix("data: ")))
            if line and len(messages) == cancel_after:
                client.post(f"{API}/cancel", json={"event_id": event_id, **ids})
    return messages


def record(url: str) -> dict[str, Any]:
    """Make all the calls."""
    with httpx.Client(base_url=url, timeout=30) as client:
        calls = {name: call(client, name, value) for name, value in CALLS.items()}
        calls["endless"] = call(client, "endless", "recorded", cancel_after=5)
    return calls


def written(calls: dict[str, Any]) -> str:
    """Write the calls as JSON, a message a line."""
    parts = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, messages)) + "\n]"
        for name, messages in calls.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    with running("real") as server:
        root = httpx.URL(server.url)
        for name, path in (("config", "/config"), ("info", f"{API}/info")):
            text = httpx.get(root.join(path)).text.replace(server.url, "http://ROOT")
            (RECORDED / f"{name}.json").write_text(text, encoding="utf-8")
        text = written(record(server.url))
        (RECORDED / "calls.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
