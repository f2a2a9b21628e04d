"""Plain scripts, each a process of its own: how they end, by themselves and by Ctrl-C."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.servers.faults import Silence
from tests.support.threads import Script, ServerThread

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Ctrl-C does")

START = """\
import sys, threading
from triojob.sync import Client, Job

def fail(*args):
    print("noise:", *args, file=sys.stderr)

sys.unraisablehook = fail
client = Client(sys.argv[1])
"""


def script(folder: Path, code: str, server: ServerThread) -> Script:
    return Script(folder, START + code, server.url)


# --- The end ---


def test_unclosed_script_ends_with_last_line(tmp_path, own_server):
    code = 'print(client.predict("ada", api_name="/greet"))'
    assert script(tmp_path, code, own_server).end() == (0, "Hello ada!", "")
    own_server.until(lambda server: not server.open_connections)


def test_ending_script_tells_the_server(tmp_path, own_server):
    code = """
jobs = [client.submit("x", api_name="/hang"), client.submit("x", api_name="/endless")]
next(jobs[1])
while jobs[0].status().code.name != "PROCESSING":
    pass
print("end")
"""
    assert script(tmp_path, code, own_server).end() == (0, "end", "")
    own_server.until_told(2)


@pytest.mark.parametrize(
    "code, expected",
    [("sys.exit(3)", 3), ('raise SystemExit("over")', 1), ("raise ValueError", 1)],
    ids=["exit", "message", "failure"],
)
def test_the_exit_code_is_the_scripts_own(tmp_path, own_server, code, expected):
    running = script(tmp_path, 'client.submit("x", api_name="/hang")\n' + code, own_server)
    status, out, err = running.end()
    assert (status, out) == (expected, "")
    assert "noise" not in err
    assert err.count("Traceback") == code.count("ValueError")


def test_unretrieved_failure_is_logged_once(tmp_path, own_server):
    code = """
job = client.submit("kaput", api_name="/fail")
for output in job:
    pass
"""
    status, _, err = script(tmp_path, code, own_server).end()
    assert status == 0
    assert err.count(" /fail: it failed, and its failure was never retrieved") == 1
    assert "noise" not in err


def test_with_block_waits_for_jobs(tmp_path, own_server):
    code = """
with client:
    job = client.submit(0.2, "x", api_name="/pause")
print(job.done(), job.result())
print([t.name for t in threading.enumerate()])
"""
    running = script(tmp_path, code, own_server)
    assert running.end() == (0, "True x\n['MainThread', 'triojob']", "")
    own_server.until_states("finished")


@pytest.mark.full
def test_main_thread_may_end_first(tmp_path, own_server):
    code = """
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(4)
job = client.submit(0.3, "job", api_name="/pause")

def say(word):
    print(word + " ", end="")  # in one piece, as threads may write at the same time

threading.Thread(target=lambda: say(job.result())).start()
for n in range(4):
    pool.submit(lambda: say(client.predict(0.3, "pooled", api_name="/pause")))
"""
    status, out, err = script(tmp_path, code, own_server).end()
    assert (status, err) == (0, "")
    assert sorted(out.split()) == ["job", *["pooled"] * 4]


def test_waiting_daemon_threads_say_nothing(tmp_path, own_server):
    """They are woken by nothing, as any other daemon thread that waits when Python ends."""
    code = """
import time

def wait(fn, *args):
    fn(*args)
    print("woken")

job = client.submit("x", api_name="/hang")
while job.status().code.name != "PROCESSING":
    time.sleep(0.01)  # no more news will wake anybody
for fn in (Job.result, Job.exception, Job.__next__):
    threading.Thread(target=wait, args=(fn, job), daemon=True).start()
threading.Thread(target=lambda: client.predict("x", api_name="/hang"), daemon=True).start()
while len(job._shared.waiters.changed._waiters) + len(job._shared.waiters.ended._waiters) < 3:
    time.sleep(0.01)
sys.stdin.read()
"""
    running = script(tmp_path, code, own_server)
    own_server.until(lambda server: len(server.running) == 2)
    assert running.end() == (0, "", "")


def test_callbacks_of_cancelled_jobs_finish(tmp_path, own_server):
    code = """
import time

def note(job):
    other.exception() if not other.cancelled() else None
    time.sleep(0.2)
    print("called", job.cancelled())

other = client.submit("x", api_name="/hang")
for job in [client.submit("x", api_name="/hang") for _ in range(3)]:
    job.add_done_callback(note)
"""
    running = script(tmp_path, code, own_server)
    assert running.end() == (0, "\n".join(["called True"] * 3), "")


@pytest.mark.full
def test_callbacks_at_the_end_finish(tmp_path, own_server):
    code = """
import time

def note(job):
    began.set()
    time.sleep(0.3)
    print("called", job.result())

began = threading.Event()
client.submit("ada", api_name="/greet").add_done_callback(note)
began.wait()
"""
    assert script(tmp_path, code, own_server).end() == (0, "called Hello ada!", "")


def test_importing_starts_no_thread_and_opens_nothing(tmp_path: Path) -> None:
    code = """
import sys, threading

def audit(event, args):
    if event.startswith(("socket.", "subprocess.", "_thread.")):
        print(event)

import trio  # what it opens for itself is its own
sys.addaudithook(audit)
import triojob.sync
print(threading.active_count())
"""
    assert Script(tmp_path, code).end() == (0, "1", "")


def test_own_portal_ends_with_its_block(tmp_path: Path, own_server: ServerThread) -> None:
    code = """
from triojob.sync import start_portal

with start_portal() as portal:
    job = Client(sys.argv[1], portal=portal).submit("x", api_name="/endless")
    next(job)
print(job.cancelled(), [t.name for t in threading.enumerate()])
"""
    running = script(tmp_path, code, own_server)
    assert running.end() == (0, "True ['MainThread', 'triojob']", "")
    own_server.until_told(1)


# --- Ctrl-C ---

WAITS = [
    'client.predict("x", api_name="/hang")',
    'list(client.submit("x", api_name="/endless"))',
]
MORE_WAITS = [
    'client.submit("x", api_name="/hang").result()',
    'client.submit("x", api_name="/hang").result(timeout=1000)',
    'next(client.submit("x", api_name="/hang"))',
    'with client: client.submit("x", api_name="/hang")',
    'concurrent.futures.wait([client.submit("x", api_name="/hang")])',
]


@posix
@pytest.mark.parametrize(
    "wait", [*WAITS, *(pytest.param(wait, marks=pytest.mark.full) for wait in MORE_WAITS)]
)
def test_control_c_interrupts_each_wait(tmp_path, own_server, wait):
    code = f"""
import concurrent.futures

try:
    {wait}
except KeyboardInterrupt:
    print("interrupted")
    # The run in the background goes on.
    print(Client(sys.argv[1]).predict("ada", api_name="/greet"))
"""
    running = script(tmp_path, code, own_server)
    own_server.until(lambda server: server.running)
    running.process.send_signal(signal.SIGINT)
    assert running.end() == (0, "interrupted\nHello ada!", "")
    own_server.until_told(1)


@pytest.mark.full
@posix
def test_ctrl_c_in_predict_tells_server(tmp_path, own_server):
    """While the script goes on, and not by its end."""
    code = """
try:
    client.predict("x", api_name="/hang")
except KeyboardInterrupt:
    print("interrupted")
sys.stdin.read()
"""
    running = script(tmp_path, code, own_server)
    own_server.until(lambda server: server.running)
    running.process.send_signal(signal.SIGINT)
    assert running.line() == "interrupted"
    own_server.until_states("cancelled")
    assert running.end() == (0, "", "")


@posix
def test_interrupted_script_shows_where(tmp_path, own_server):
    running = script(tmp_path, 'client.predict("x", api_name="/hang")', own_server)
    own_server.until(lambda server: server.running)
    running.process.send_signal(signal.SIGINT)
    status, out, err = running.end()
    assert (status, out) == (-signal.SIGINT, "")
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert err.count("Traceback") == 1
    own_server.until_states("cancelled")


@posix
@pytest.mark.parametrize("path", ["/config", "/info"])
def test_control_c_interrupts_opening_of_client(tmp_path, own_server, path):
    own_server.call(own_server.server.fault, "GET", path, Silence(), 1)
    code = """
import sys
from triojob.sync import Client

try:
    Client(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
sys.stdin.read()
"""
    running = Script(tmp_path, code, own_server.url)
    own_server.until(lambda server: f"GET {path}" in server.paths())
    running.process.send_signal(signal.SIGINT)
    assert running.line() == "interrupted"
    # The connection of the client that never came to be is closed.
    own_server.until(lambda server: not server.open_connections)
    assert running.end() == (0, "", "")


@posix
def test_ctrl_c_interrupts_a_deaf_end(tmp_path, own_server):
    """Closing waits for a server that answers no cancel request, for some seconds; one needn't."""
    own_server.call(own_server.server.fault, "POST", "/cancel", Silence())
    code = """
job = client.submit("x", api_name="/hang")
while job.status().code.name != "PROCESSING":
    pass
try:
    client.close()
except KeyboardInterrupt:
    print("interrupted", job.cancelled())
"""
    running = script(tmp_path, code, own_server)
    own_server.until(lambda server: "POST /cancel" in server.paths())
    running.process.send_signal(signal.SIGINT)
    assert running.line() == "interrupted True"
    running.process.kill()  # the end waits too, in vain
    assert running.end()[2] == ""
