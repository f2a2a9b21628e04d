"""The scripted server against the real one: recordings of it, and the live one.

If Gradio sends something else than the scripted server, the tests that build on the latter show
nothing.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio
import trio.testing
import trustme

from tests.servers import recorded
from tests.servers.faults import (
    Answer,
    Cut,
    Drip,
    EndAfter,
    Hold,
    HoldFrame,
    Lose,
    Silence,
    Split,
    Stall,
)
from tests.servers.recorded import RECORDINGS, Message, call, normalised
from tests.servers.scripted import Event, GradioError, ScriptedServer, open_server
from tests.support.gradio import StartGradio
from triojob.testing._server.description import App
from triojob.testing._server.edits import edits_between
from triojob.testing.components import file, json_value, number, state


def recorded_app() -> App:
    """Describe the app that was recorded; what it does is in `tests/testing/test_traces.py`."""
    app = App(title="compat lab", show_error=False, concurrency_limit=1)
    counter = state(0)
    n, out = number("n"), "out"

    app.add("greet", inputs=["name"], outputs=["hello"])
    app.add("add", inputs=[number("a"), number("b")], outputs=[number("sum"), number("product")])
    app.add("count", inputs=[n], outputs=[out], generator=True)
    app.add("tokens", inputs=[n], outputs=[out], generator=True)
    app.add("slow", inputs=[n], outputs=[out], parameter_names=["seconds"])
    app.add("fail")
    app.add("fail_hard")
    app.add("upper_file", inputs=[file("in")], outputs=[file("out")], parameter_names=["f"])
    app.add("bump", inputs=[counter], outputs=[counter, number("count")])
    options: dict[str, Any] = {"backend": False, "queue": False, "visibility": "private"}
    app.add("unnamed", outputs=[], **options)
    app.add("unnamed_1", outputs=[], cancels=[4], **options)
    return app


def test_recordings_are_read_whole() -> None:
    kinds = {name: [m["msg"] for m in recorded.load(name).messages] for name in RECORDINGS}
    assert {"estimation", "process_starts", "process_completed", "close_stream"} <= set(
        kinds["greet"]
    )
    assert kinds["count"].count("process_generating") == 3
    assert kinds["slow"].count("progress") == 4
    assert recorded.load("cancel_count").cancelled_after == 8
    assert recorded.load("greet").cancelled_after is None


def test_config_is_what_was_recorded() -> None:
    real, ours = recorded.load_json("config"), recorded_app().config("http://127.0.0.1:46733")
    assert ours.keys() <= real.keys()
    for key in ours.keys() - {"components", "dependencies", "layout"}:
        assert ours[key] == real[key], key

    def described(config: dict[str, Any]) -> list[Any]:
        """Describe the dependencies, with what the ids stand for in their place."""
        components = {entry["id"]: entry for entry in config["components"]}

        def facts(component_id: int) -> Any:
            entry = components[component_id]
            plain = {key: entry.get(key) for key in ("type", "skip_api")}
            return {**plain, "label": entry["props"].get("label")}

        kept = []
        for dependency in config["dependencies"]:
            entry = dict(dependency)
            del entry["targets"]
            entry["inputs"] = [facts(i) for i in entry["inputs"]]
            entry["outputs"] = [facts(i) for i in entry["outputs"]]
            kept.append(entry)
        return kept

    assert described(ours) == described(real)


def test_info_of_file_is_what_was_recorded() -> None:
    """All else of /info is compared in `tests/testing/test_traces.py`."""
    real = recorded.load_json("info")["named_endpoints"]
    ours = recorded_app().info()["named_endpoints"]
    assert ours.keys() == real.keys()
    # Of a file's schema only the wording differs.
    (real_file,), (our_file,) = real["/upper_file"]["parameters"], ours["/upper_file"]["parameters"]
    assert our_file.keys() == real_file.keys()
    for key in ("properties", "$defs", "required", "title"):
        assert our_file["type"][key] == real_file["type"][key]


# --- The live one ---


def comparable_app() -> App:
    """Script those endpoints of `gradio_app.py` that the scripted server is compared on."""
    app = App()
    table, counter = json_value("table"), state(0)

    @app.endpoint(inputs=["name"])
    async def greet(event: Event) -> None:
        await event.completed([f"Hello {event.data[0]}!"])

    @app.endpoint(inputs=[number("n"), number("delay")], generator=True)
    async def count(event: Event) -> None:
        for i in range(event.data[0]):
            await trio.sleep(event.data[1])
            await event.generating([str(i)])

    @app.endpoint(outputs=[], inputs=["text"])
    async def no_output(event: Event) -> None:
        await event.completed([])

    @app.endpoint(inputs=[number("n")], outputs=["out", "second"], generator=True)
    async def two_streams(event: Event) -> None:
        for i in range(event.data[0]):
            await event.generating([f"fast {i}", f"slow {i // 3}"])

    @app.endpoint(generator=True)
    async def nothing(event: Event) -> None:
        pass

    def table_of(rows: int, columns: int, cell: str = "r{0}c{1}") -> dict[str, Any]:
        return {
            "headers": [str(column + 1) for column in range(columns)],
            "data": [[cell.format(r, c) for c in range(columns)] for r in range(rows)],
            "metadata": None,
        }

    @app.endpoint(inputs=[number("n")], outputs=[table], generator=True)
    async def lists(event: Event) -> None:
        for i in range(event.data[0]):
            await event.generating([table_of(1 + i % 4, 1 + (i * 2) % 3)])

    @app.endpoint(outputs=[table], generator=True)
    async def corrupting_lists(event: Event) -> None:
        rows = [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]
        await event.generating([{**table_of(3, 3), "data": rows}])
        await event.generating([{**table_of(2, 1), "data": [["a"], ["d"]]}])

    @app.endpoint(inputs=[number("n")], outputs=[json_value("spans")], generator=True)
    async def spans(event: Event) -> None:
        done: list[Any] = []
        for i in range(event.data[0]):
            growing = {"token": f"w{i}", "class_or_confidence": None}
            await event.generating([[*done, growing]])
            kind = "even" if i % 2 == 0 else "odd"
            done.append({"token": f"w{i} full", "class_or_confidence": kind})
            await event.generating([done])

    @app.endpoint()
    async def logs(event: Event) -> None:
        await event.log("for your information", title="Note", duration=2.0)
        await event.log("mind the gap", level="warning", title="Careful", duration=None)
        await event.log("well done", level="success")
        await event.completed(["logged"])

    @app.endpoint(inputs=[counter], outputs=[counter, number("counter")])
    async def bump(event: Event) -> None:
        await event.completed([event.data[0] + 1] * 2)

    @app.endpoint()
    async def fail(event: Event) -> None:
        raise GradioError("boom", title="Oops", duration=3)

    @app.endpoint()
    async def fail_hard(event: Event) -> None:
        await event.fail({"error": "kaput", "visible": True})

    @app.endpoint(generator=True)
    async def fail_midway(event: Event) -> None:
        await event.generating(["one"])
        await event.generating(["two"])
        raise GradioError("midway", title="Half", duration=4)

    @app.endpoint(generator=True)
    async def fail_hard_midway(event: Event) -> None:
        await event.generating(["one"])
        await event.fail({"error": "kaput midway", "visible": True})

    @app.endpoint()
    async def odd_json(event: Event) -> None:
        text = "one\u2028two\u2029three\u0085four\x0bfive \U0001f600 caf\u00e9\r\nsix"
        value = {"nan": float("nan"), "infinity": float("inf"), "text": text, "path": "/not/a/file"}
        await event.completed([{**value, "nested": [[1, [2]], {"3": None}]}])

    def check_person(name: str, age: float) -> list[tuple[bool, str]]:
        plausible = 0 <= age <= 150
        return [(bool(name), "A name is needed."), (plausible, "Nobody is of that age.")]

    app.add("validated", inputs=["name", number("age")], validator=check_person)
    return app


COMPARED: list[tuple[str, list[Any]]] = [
    ("greet", ["Ann"]),
    ("no_output", ["x"]),
    ("count", [3, 0.01]),
    ("two_streams", [5]),
    ("nothing", []),
    ("lists", [9]),
    ("corrupting_lists", []),
    ("spans", [3]),
    ("logs", []),
    ("bump", [None]),
    ("bump", [None]),
    ("fail", []),
    ("fail_hard", []),
    ("fail_midway", []),
    ("fail_hard_midway", []),
    ("odd_json", []),
]


def shapes(messages: list[Message]) -> list[str]:
    """Normalise; null in the place of seconds says only that nothing ran before."""
    return [
        text.replace('"rank_eta": "<seconds>"', '"rank_eta": null').replace(
            '"eta": "<seconds>"', '"eta": null'
        )
        for text in normalised(messages)
    ]


async def indexes(client: httpx.AsyncClient, url: str) -> dict[str, int]:
    config = (await client.get(url + "/config")).json()
    return {entry["api_name"]: entry["id"] for entry in config["dependencies"]}


async def test_sends_what_the_real_server_sends(gradio_url: str) -> None:
    base = gradio_url + "/gradio_api"
    async with (
        open_server(comparable_app()) as server,
        server.client() as ours,
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=300) as real,
    ):
        our_ids = await indexes(ours, server.url)
        real_ids = await indexes(real, gradio_url)
        for name, data in COMPARED:
            session = "compared-" + str(random.random())
            expected = await call(real, real_ids[name], data, session_hash=session)
            got = await call(ours, our_ids[name], data, session_hash=session)
            assert shapes(got) == shapes(expected), name


async def test_answers_http_as_the_real_server_does(gradio_url: str) -> None:
    base = gradio_url + "/gradio_api"
    async with (
        open_server(comparable_app()) as server,
        server.client() as ours,
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=300) as real,
    ):
        our_ids = await indexes(ours, server.url)
        real_ids = await indexes(real, gradio_url)

        async def both(method: str, path: str, body: dict[str, Any] | None = None) -> None:
            answers = []
            for client, ids in ((real, real_ids), (ours, our_ids)):
                sent = dict(body or {})
                if isinstance(name := sent.get("fn_index"), str):
                    sent["fn_index"] = ids.get(name, 999)
                answer = await client.request(method, path, json=sent if body else None)
                text = answer.text.replace(str(sent.get("fn_index")), "<fn>")
                answers.append((answer.status_code, answer.headers["content-type"], text))
            assert answers[1] == answers[0]

        join = {"data": ["", 200], "fn_index": "validated", "session_hash": "http"}
        await both("POST", "/queue/join", join)
        await both("POST", "/queue/join", {**join, "data": ["Ann", -1]})
        await both("POST", "/queue/join", {**join, "session_hash": None})
        await both("POST", "/queue/join", {**join, "fn_index": None})
        await both("POST", "/queue/join", {"fn_index": "greet", "session_hash": "http"})
        await both("POST", "/queue/join", {**join, "data": 3})
        cancel = {"session_hash": "http", "fn_index": "greet", "event_id": "no such event"}
        await both("POST", "/cancel", cancel)
        await both("POST", "/cancel", {**cancel, "event_id": None})
        await both("POST", "/reset", {"event_id": "no such event"})
        await both("GET", "/queue/status")
        await both("GET", "/queue/data")
        await both("GET", "/no/such/page")
        await both("GET", "/file=/etc/passwd")
        # The last: after a 500 both drop the connection, and the next request may find it broken.
        await both("POST", "/queue/join", {**join, "fn_index": "no such function"})


async def test_unknown_session_is_refused_like_real(gradio_url: str) -> None:
    base = gradio_url + "/gradio_api"
    async with (
        open_server() as server,
        server.client() as ours,
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=300) as real,
    ):
        for client in (real, ours):
            stream = recorded.read_stream(client, "nobody")
            assert await anext(stream) == {
                "msg": "unexpected_error",
                "event_id": None,
                "message": "404: Not Found",
                "session_not_found": True,
                "success": False,
            }
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(stream)


async def test_cancel_kills_siblings_like_real_server(gradio_url):
    base = gradio_url + "/gradio_api"
    app = App()
    app.add("parallel_count", count_forever, inputs=[number("n"), number("delay")], generator=True)
    async with (
        open_server(app) as server,
        server.client() as ours,
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=300) as real,
    ):
        for client, url in ((real, gradio_url), (ours, server.url)):
            fn_index = (await indexes(client, url))["parallel_count"]
            session = "siblings-" + str(random.random())
            body = {"data": [10_000, 0.02], "fn_index": fn_index, "session_hash": session}
            first, second = [
                (await client.post("/queue/join", json=body)).json()["event_id"] for _ in range(2)
            ]
            heard: list[Message] = []
            with trio.move_on_after(1.5) as scope:
                async for message in recorded.read_stream(client, session):
                    heard.append(message)
                    if len(heard) == 10:
                        cancel = {"session_hash": session, "fn_index": fn_index}
                        await client.post("/cancel", json={**cancel, "event_id": first})
            # The stream stays open, for an event that never ends.
            assert scope.cancelled_caught
            assert {m["event_id"] for m in heard if m["msg"] == "process_generating"} == {
                first,
                second,
            }
            (completed,) = [m for m in heard if m["msg"] == "process_completed"]
            assert (completed["event_id"], completed["output"]) == (first, {})
            assert heard[-1] == completed
        await server.settled()
        assert {event.state for event in server.events.values()} == {"cancelled"}


async def count_forever(event: Event) -> None:
    i = 0
    while True:
        await trio.sleep(0.02)
        await event.generating([str(i)])
        i += 1


def random_value(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.randrange(10 if depth else 6)
    if kind in (6, 7, 8):
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 9:
        return {key: random_value(rng, depth - 1) for key in "abc"[: rng.randrange(4)]}
    return [None, True, 1, 1.0, "x" * rng.randrange(4), "y"][kind]


def shrunk(rng: random.Random, value: Any) -> Any:
    """Take something off at every depth: nested deletes are what Gradio's diff gets wrong."""
    if isinstance(value, list):
        return [shrunk(rng, item) for item in value[: rng.randint(0, len(value))]]
    return value


# Gradio's own diff, in a process of its own: importing gradio warns, and takes its time.
GRADIO_DIFF = """
import json, sys
from gradio.utils import diff
json.dump([diff(old, new) for old, new in json.load(sys.stdin)], sys.stdout)
"""


@pytest.mark.real
def test_diffs_are_gradios() -> None:
    rng = random.Random(1)
    pairs = [(random_value(rng), random_value(rng)) for _ in range(3000)]
    pairs += [(old, shrunk(rng, old)) for old, _ in pairs]
    theirs = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GRADIO_DIFF],
        input=json.dumps(pairs),
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # As JSON text: to Python, 1 and True are equal.
    ours = [edits_between(old, new) for old, new in pairs]
    assert json.dumps(json.loads(theirs.stdout)) == json.dumps(ours)
    negative = [edit for edits in ours for edit in edits if -1 in edit[1]]
    assert negative, "no pair was of the kind that Gradio gets wrong"


# --- What no recording shows ---


async def join(client: httpx.AsyncClient, session: str, data: list[Any], fn_index: int = 0) -> str:
    body = {"data": data, "fn_index": fn_index, "session_hash": session}
    answer = await client.post("/queue/join", json=body)
    assert answer.status_code == 200, answer.text
    event_id: str = answer.json()["event_id"]
    return event_id


async def listen(client: httpx.AsyncClient, session: str) -> list[Message]:
    return [message async for message in recorded.read_stream(client, session)]


def kinds(messages: list[Message]) -> list[str]:
    return [message["msg"] for message in messages]


PLAIN = ["estimation", "process_starts", "process_completed", "close_stream"]


async def test_default_script_gives_the_inputs_back(memory_app: ScriptedServer) -> None:
    memory_app.app.add("echo", inputs=["a", "b"], outputs=["x", "y"])
    memory_app.app.add("one_by_one", inputs=["a", "b"], generator=True)
    async with memory_app.client() as client:
        messages = await call(client, 0, ["1", "2"], session_hash="s")
        assert messages[2]["output"]["data"] == ["1", "2"]
        messages = await call(client, 1, ["1", "2"], session_hash="s")
        assert kinds(messages)[2:4] == ["process_generating"] * 2
        assert messages[-2]["output"]["data"] == ["2"]


async def test_heartbeats_until_the_client_leaves(memory_app, autojump_clock):
    @memory_app.app.endpoint(generator=True)
    async def stuck(event: Event) -> None:
        await event.generating(["a"])
        await trio.sleep(100)
        await event.generating(["b"])
        raise AssertionError("it had to stop at the yield")

    async with memory_app.client() as client:
        await join(client, "s", [])
        with trio.move_on_after(50):
            await listen(client, "s")
        assert memory_app.streams.open == 1  # the response is closed by its garbage collection
    await memory_app.settled(timeout=200)
    (event,) = memory_app.events.values()
    assert (event.state, event.alive) == ("abandoned", False)
    assert trio.current_time() >= 100


async def test_leaving_client_takes_its_queued_calls(memory_app, autojump_clock):
    @memory_app.app.endpoint(concurrency_limit=1)
    async def plain(event: Event) -> None:
        await trio.sleep(10)

    async with memory_app.client() as client:
        for _ in range(3):
            await join(client, "s", [])
        with trio.CancelScope() as scope:
            async for _ in recorded.read_stream(client, "s"):
                scope.cancel()
        await memory_app.settled(timeout=60)
        assert [e.state for e in memory_app.events.values()] == ["finished", "removed", "removed"]
        # The session goes on, but never comes to its end: the id of the first is pending for ever.
        await join(client, "s", [])
        with trio.move_on_after(120) as scope:
            await call(client, 0, [], session_hash="s")
        assert scope.cancelled_caught


async def test_ranks_and_estimates(memory_app, autojump_clock):
    @memory_app.app.endpoint(concurrency_limit=1)
    async def plain(event: Event) -> None:
        await trio.sleep(10)

    async with memory_app.client() as client:
        await call(client, 0, [], session_hash="warm up")
        ids = [await join(client, "s", []) for _ in range(3)]
        messages = await listen(client, "s")
        places = [
            (ids.index(m["event_id"]), m["rank"], m["queue_size"], round(m["rank_eta"]))
            for m in messages
            if m["msg"] == "estimation"
        ]
        assert places == [(0, 0, 1, 10), (1, 0, 1, 20), (2, 1, 2, 30), (2, 0, 1, 20)]
        assert memory_app.streams.max_open == 1


async def test_two_streams_on_one_session_share_messages(memory_app, autojump_clock):
    memory_app.app.add("count", count_forever, generator=True)
    heard: list[list[Message]] = [[], []]

    async def listener(into: list[Message]) -> None:
        async for message in recorded.read_stream(client, "s"):
            into.append(message)

    async with memory_app.client() as client:
        await join(client, "s", [])
        with trio.move_on_after(5):
            async with trio.open_nursery() as nursery:
                for into in heard:
                    nursery.start_soon(listener, into)
    assert all(heard)
    steps = memory_app.events.popitem()[1].outputs.count
    assert sum(kinds(half).count("process_generating") for half in heard) in (steps - 1, steps)


async def test_cancel_of_queued_event_kills_running_one(memory_app, autojump_clock):
    @memory_app.app.endpoint(concurrency_limit=1)
    async def plain(event: Event) -> None:
        await trio.sleep(10)

    async with memory_app.client() as client:
        await join(client, "s", [])
        second = await join(client, "s", [])
        body = {"session_hash": "s", "fn_index": 0, "event_id": second}
        await client.post("/cancel", json=body)
        first, queued = memory_app.events.values()
        # The freed place went to the very event that was to be cancelled.
        assert (first.state, queued.state) == ("cancelled", "running")
        with trio.move_on_after(20):
            messages: list[Message] = []
            async for message in recorded.read_stream(client, "s"):
                messages.append(message)
        completions = [m for m in messages if m["msg"] == "process_completed"]
        assert [(m["event_id"], m["output"].get("data")) for m in completions] == [
            (second, None),
            (second, [None]),
        ]

        memory_app.queue.eager = False
        await join(client, "t", [])
        third = await join(client, "t", [])
        await client.post("/cancel", json={**body, "session_hash": "t", "event_id": third})
        assert [e.state for e in memory_app.events.values()][2:] == ["cancelled", "removed"]
        assert memory_app.cancels[0] == body


async def test_deaf_to_cancel(memory_app: ScriptedServer) -> None:
    memory_app.queue.deaf_to_cancel = True

    @memory_app.app.endpoint()
    async def stuck(event: Event) -> None:
        await trio.sleep_forever()

    async with memory_app.client() as client:
        event_id = await join(client, "s", [])
        body = {"session_hash": "s", "fn_index": 0, "event_id": event_id}
        assert (await client.post("/cancel", json=body)).json() == {"success": True}
        assert memory_app.events[event_id].state == "running"


async def test_queue_full_stopped_and_login(memory_app: ScriptedServer) -> None:
    app = memory_app.app
    app.auth = ("ann", "secret")
    app.max_queue_size = 1
    app.add("stuck", count_forever, concurrency_limit=1, generator=True)
    body = {"data": [], "fn_index": 0, "session_hash": "s"}
    async with memory_app.client() as client:
        for path in ("/queue/data?session_hash=s", "/info", memory_app.url + "/config"):
            answer = await client.get(path)
            assert answer.status_code == 401
            detail = {"error": "Not authenticated", "auth_message": None}
            assert answer.json() == {"detail": detail}
        login = memory_app.url + "/login"
        answer = await client.post(login, data={"username": "ann", "password": "no"})
        assert (answer.status_code, answer.json()) == (400, {"detail": "Incorrect credentials."})
        answer = await client.post(login, data={"username": "ann", "password": "secret"})
        assert answer.json() == {"success": True}
        assert len(answer.headers.get_list("set-cookie")) == 2
        for _ in range(2):
            await join(client, "s", [])
        answer = await client.post("/queue/join", json=body)
        assert answer.status_code == 503
        assert answer.json() == {"detail": "Queue is full. Max size is 1 and size is 1."}
        memory_app.queue.stopped = True
        answer = await client.post("/queue/join", json=body)
        assert (answer.status_code, answer.json()) == (503, {"detail": "Queue is stopped."})


async def test_cached_endpoint_precedes_the_joins_answer(memory_app):
    memory_app.app.add("echo", inputs=["a"], cached=True)
    async with memory_app.client() as client:
        messages = await call(client, 0, ["1"], session_hash="s")
        assert kinds(messages) == ["process_completed", "close_stream"]
        assert messages[0]["used_cache"] == "full"


async def test_files_and_heartbeat_connections(memory_app: ScriptedServer) -> None:
    async with memory_app.client() as client:
        answer = await client.post("/upload", files={"files": ("a.txt", b"hello")})
        (path,) = answer.json()
        assert path.endswith("/a.txt")
        assert (await client.get(f"/file={path}")).content == b"hello"
        answer = await client.get("/file=/etc/passwd")
        assert (answer.status_code, answer.json()) == (
            403,
            {"detail": "File not allowed: /etc/passwd."},
        )
        with trio.CancelScope() as scope:
            async with client.stream("GET", "/heartbeat/s") as response:
                async for beat in response.aiter_raw():
                    assert beat == b"data: ALIVE\n\n"
                    assert memory_app.heartbeats.open == 1
                    scope.cancel()
        with trio.fail_after(60):
            while memory_app.heartbeats.open:  # noqa: ASYNC110 - it has no way to tell
                await trio.sleep(0.01)
        assert memory_app.log.unloads == ["s"]


# --- Faults, over sockets and in memory ---


@pytest.fixture(params=["sockets", "memory"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedServer]:
    async with open_server(memory=request.param == "memory") as scripted_server:
        scripted_server.app.add("echo", inputs=["a"])
        yield scripted_server


async def test_hold_the_answer_of_a_join(server: ScriptedServer) -> None:
    release = trio.Event()
    server.fault("POST", "/queue/join", Hold(release), times=1)
    async with server.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(join, client, "s", ["1"])
        with trio.fail_after(60):
            while not server.events:  # noqa: ASYNC110 - the server is to be asked, not changed
                await trio.sleep(0.01)
        # All of it is there before anybody knows the event's id.
        assert kinds(await listen(client, "s")) == PLAIN
        release.set()


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("reset", [False, True])
async def test_lose_a_join(server: ScriptedServer, handled: bool, reset: bool) -> None:
    server.fault("POST", "/queue/join", Lose(handled=handled, reset=reset), times=1)
    async with server.client() as client:
        with pytest.raises(httpx.ReadError if reset else httpx.RemoteProtocolError):
            await join(client, "s", ["1"])
        assert len(server.events) == handled
        assert len(server.joins) == 1
        await join(client, "s", ["1"])


async def test_silence_and_answers(server: ScriptedServer) -> None:
    server.fault("POST", "/cancel", Silence(), times=1)
    server.fault("POST", "/queue/join", Answer(429, {"detail": "slow down"}, {"retry-after": "3"}))
    body = {"session_hash": "s", "fn_index": 0, "event_id": "e"}
    async with server.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/cancel", json=body, timeout=0.05)
        assert server.cancels == [body]
        answer = await client.post("/queue/join", json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert answer.json() == {"detail": "slow down"}
    await server.settled()


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_torn_frames(server: ScriptedServer, size: int) -> None:
    server.fault("GET", "/queue/data", Split(size))
    async with server.client() as client:
        messages = await call(client, 0, ["caf\u00e9 \U0001f600\u2028"], session_hash="s")
        assert kinds(messages) == PLAIN
        assert messages[2]["output"]["data"] == ["caf\u00e9 \U0001f600\u2028"]


async def test_cut_and_stall(server: ScriptedServer) -> None:
    server.fault("GET", "/queue/data", Cut(30), times=1)
    server.fault("GET", "/queue/data", Cut(30, reset=True), times=1)
    server.fault("GET", "/queue/data", Stall(30), times=1)
    async with server.client() as client:
        for session, error, timeout in [
            ("cut", httpx.RemoteProtocolError, 60),
            ("reset", httpx.ReadError, 60),
            ("stall", httpx.ReadTimeout, 2),
        ]:
            await join(client, session, ["1"])
            got = b""
            with pytest.raises(error):
                async with client.stream(
                    "GET", f"/queue/data?session_hash={session}", timeout=timeout
                ) as response:
                    async for chunk in response.aiter_raw():
                        got += chunk
            assert got == b'data: {"msg":"estimation","event_id":'[:30]
        # The app took all three for clients that left.
        await server.settled()
        for session in ("cut", "reset", "stall"):
            with pytest.raises(httpx.RemoteProtocolError):
                await listen(client, session)


async def test_clean_end_before_the_end(server: ScriptedServer) -> None:
    server.fault("GET", "/queue/data", EndAfter(1), times=1)
    server.fault("GET", "/queue/data", EndAfter(1, forget=True), times=1)
    async with server.client() as client:
        await join(client, "s", ["1"])
        assert kinds(await listen(client, "s")) == PLAIN[:1]
        await join(client, "t", ["1"])
        assert kinds(await listen(client, "t")) == PLAIN[:1]
        server.clear_faults()
        assert kinds(await listen(client, "s")) == PLAIN[1:]
        with pytest.raises(httpx.RemoteProtocolError):
            await listen(client, "t")


async def test_join_that_crosses_close_of_stream(server: ScriptedServer) -> None:
    release = trio.Event()
    server.fault("GET", "/queue/data", HoldFrame(release, "close_stream"), times=1)
    async with server.client() as client:
        await join(client, "s", ["1"])
        stream = recorded.read_stream(client, "s")
        for kind in PLAIN[:3]:
            assert (await anext(stream))["msg"] == kind
        await join(client, "s", ["2"])
        release.set()
        assert [message["msg"] async for message in stream] == PLAIN[3:]
        assert kinds(await listen(client, "s")) == PLAIN


async def test_drip(memory_app: ScriptedServer, autojump_clock: trio.testing.MockClock) -> None:
    memory_app.app.add("echo", inputs=["a"])
    memory_app.fault("GET", "/queue/data", Drip(size=10, interval=1))
    async with memory_app.client(timeout=5) as client:
        assert kinds(await call(client, 0, ["1"], session_hash="s")) == PLAIN
    assert trio.current_time() > 50


async def test_garbage(server: ScriptedServer) -> None:
    @server.app.endpoint()
    async def garbage(event: Event) -> None:
        await event.raw(b"data: {]\n\n")

    async with server.client() as client:
        await join(client, "s", [], fn_index=1)
        answer = await client.get("/queue/data?session_hash=s")
        assert answer.content.split(b"\n\n")[2] == b"data: {]"


async def test_death_and_restart(server: ScriptedServer) -> None:
    server.app.add("count", count_forever, generator=True)
    async with server.client() as client:
        await join(client, "s", [], fn_index=1)
        stream = recorded.read_stream(client, "s")
        for _ in range(4):
            await anext(stream)
        assert (server.open_connections, server.streams.open) == (1, 1)
        server.die()
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in stream:
                pass
        with pytest.raises(httpx.TransportError):
            await client.get("/app_id")
        with pytest.raises(httpx.ConnectError):
            await client.get("/app_id")
        assert server.open_connections == 0
        await server.settled()


@pytest.mark.parametrize("end", [ScriptedServer.die, ScriptedServer.restart])
async def test_no_waiting_event_outlives_the_app(memory_app, end):
    started: list[str] = []

    async def hang(event: Event) -> None:
        started.append(event.event_id)
        await trio.sleep_forever()

    endpoint = memory_app.app.add("hang", hang, concurrency_limit=1)
    async with memory_app.client() as client:
        first, second = [await join(client, "s", [], endpoint.fn_index) for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        end(memory_app)
        await trio.testing.wait_all_tasks_blocked()
    assert started == [first]
    assert memory_app.events[second].state == "removed"


async def test_records_requests(server: ScriptedServer) -> None:
    async with server.client(headers={"X-Test": "1"}) as client:
        await call(client, 0, ["1"], session_hash="s")
        assert server.paths() == ["POST /queue/join", "GET /queue/data"]
        assert server.requests[0].json == server.joins[0]
        assert server.requests[0].headers["x-test"] == "1"
        assert server.requests[1].query == {"session_hash": "s"}
        assert server.requests[1].target == "/gradio_api/queue/data?session_hash=s"
        assert (server.open_connections, server.listener.connections_made) == (1, 1)
        assert (server.streams.open, server.streams.made) == (0, 1)


async def test_mounted_under_a_path() -> None:
    async with open_server(App(mount="/apps/demo")) as server, server.client() as client:
        server.app.add("echo", inputs=["a"])
        assert server.url.endswith("/apps/demo")
        assert (await client.get(server.url + "/config")).json()["root"] == server.url
        assert kinds(await call(client, 0, ["1"], session_hash="s")) == PLAIN


@pytest.mark.parametrize("protocol", ["sse_v1", "sse_v2", "sse_v2.1"])
async def test_older_protocols_just_end_the_stream(protocol: str) -> None:
    app = App(protocol=protocol)
    app.add("twice", inputs=["a", "b"], generator=True)
    async with open_server(app, memory=True) as server, server.client() as client:
        messages = await call(client, 0, ["1", "12"], session_hash="s")
        assert kinds(messages) == [*PLAIN[:2], *["process_generating"] * 2, "process_completed"]
        second: Any = ["12"] if protocol == "sse_v1" else [[["append", [], "2"]]]
        assert messages[3]["output"]["data"] == second


async def test_other_hosts_of_the_memory_network(memory_app: ScriptedServer) -> None:
    async with open_server(memory=True) as other:
        memory_app.network.add("other.test", other.listener)
        async with memory_app.client() as client:
            await client.get("http://other.test/config")
            assert other.paths() == ["GET /config"]
            with pytest.raises(httpx.ConnectError):
                await client.get("http://nowhere.test/")
            memory_app.listener.refusing = True
            with pytest.raises(httpx.ConnectError):
                await client.get("/app_id")
        assert memory_app.network.connects == [
            ("other.test", 80),
            ("nowhere.test", 80),
            ("scripted.test", 80),
        ]


async def test_tls() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    async with open_server(tls=theirs) as server, server.client(verify=ours) as client:
        server.app.add("echo", inputs=["a"])
        assert server.url.startswith("https://127.0.0.1:")
        assert kinds(await call(client, 0, ["1"], session_hash="s")) == PLAIN
        server.fault("POST", "/queue/join", Lose(reset=True))
        with pytest.raises(httpx.ReadError):
            await join(client, "s", ["1"])


# --- The fixtures of the real server ---


@pytest.mark.full
async def test_servers_with_flags(start_gradio: StartGradio) -> None:
    server = start_gradio("--auth", "--hide-errors", "--queue-size", "1")
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=300) as client:
        assert (await client.get("/config")).status_code == 401
        login = {"username": "trio", "password": "s3cret"}
        assert (await client.post("/login", data=login)).json() == {"success": True}
        ids = await indexes(client, server.url)
        client.base_url = httpx.URL(server.url + "/gradio_api")
        messages = await call(client, ids["fail_hard"], [], session_hash="s")
        assert messages[2]["output"] == {"error": None}
        for seconds in (30, 0):
            await join(client, "t", [seconds, "flags"], ids["sleeper"])
            await trio.sleep(0.2)
        body = {"data": [0, "x"], "fn_index": ids["sleeper"], "session_hash": "t"}
        assert (await client.post("/queue/join", json=body)).status_code == 503
        server.kill()
        with pytest.raises(httpx.TransportError):
            await client.get("/app_id")
        with pytest.raises(httpx.ConnectError):
            await client.get("/app_id")
    assert server.process.poll() is not None
