"""Processes that come from others: what a fork has of the clients and jobs of its parent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.hanging import SECONDS
from tests.support.threads import HAS_FORK, Script, ServerThread

START = f"""\
import multiprocessing, os, signal, sys, threading, warnings
from concurrent.futures import ProcessPoolExecutor, wait

# Python 3.12 and later warn of every fork of a process with threads.
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
if hasattr(signal, "alarm"):
    signal.alarm({SECONDS})  # ends what hangs

from triojob import GroupClosed, JobGroup
from triojob.sync import Client, start_portal, submit

def in_child(fn):
    # Ends without `atexit`, as children do.
    pid = os.fork()
    if pid == 0:
        signal.alarm({SECONDS})
        status = 1
        try:
            fn()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return pid

def ended_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""

needs_fork = pytest.mark.skipif(not HAS_FORK, reason="there is no fork here")


END = """
print("good")
"""

Start = Callable[[str], Script]
Run = Callable[[str], None]


@pytest.fixture
def start(tmp_path: Path, own_server: ServerThread) -> Start:
    """Start a script, which is given the URL of `own_server`."""
    return lambda code: Script(tmp_path, START + code, own_server.url)


@pytest.fixture
def run(start: Start) -> Run:
    """Run a script to its end, to which it must come without a word but the last one."""

    def run(code: str) -> None:
        assert start(code + END).end() == (0, "good", "")

    return run


@needs_fork
def test_parent_and_child_share_a_client(run: Run) -> None:
    code = """
client = Client(sys.argv[1])
assert client.predict("first", api_name="/greet") == "Hello first!"
under_way = client.submit(0.3, "parent's", api_name="/pause")
hash_before = client.session_hash

def child():
    for n in range(3):
        assert client.predict(str(n), api_name="/greet") == f"Hello {n}!"
    assert client.session_hash != hash_before
    assert list(client.submit(3, api_name="/count")) == ["0", "1", "2"]
    client.close()

children = [in_child(child) for _ in range(3)]
assert client.predict("second", api_name="/greet") == "Hello second!"
assert under_way.result() == "parent's"
assert client.session_hash == hash_before
assert all(map(ended_well, children))
"""
    run(code)


@needs_fork
def test_parents_jobs_are_not_the_childs(run: Run) -> None:
    code = """
client = Client(sys.argv[1])
job = client.submit("x", api_name="/endless")
ended = client.submit("ada", api_name="/greet")
called = []
for each in (job, ended):
    each.add_done_callback(called.append)
threading.Thread(target=wait, args=([job],)).start()
first = next(job)
assert ended.result() == "Hello ada!"

def child():
    for ask in (job.result, lambda: job.result(1)):
        try:
            ask()
        except GroupClosed as error:
            assert "belongs to the parent process" in str(error), error
        else:
            raise AssertionError
    assert isinstance(job.exception(), GroupClosed)
    assert job.done() and not job.cancelled() and not job.cancel()
    assert set(map(type, job)) <= {str}  # what had come until then, and an end
    assert job.outputs()[0] == first
    assert job.status().success is False
    assert ended.result() == "Hello ada!"
    assert ended.outputs() == ["Hello ada!"]
    assert job not in called  # what they do is the parent's business
    client.close()

assert ended_well(in_child(child))
assert not job.done()
next(job)
job.cancel()
"""
    run(code)


@needs_fork
def test_trio_jobs_are_not_the_childs(run: Run) -> None:
    code = """
import trio

async def fail():
    raise ValueError("boom")

async def main():
    async with JobGroup(history=2) as group:
        failed = await trio.to_thread.run_sync(submit, group, fail)
        running = await trio.to_thread.run_sync(submit, group, trio.sleep_forever)
        while not failed.done():
            await trio.sleep(0.01)

        def child():
            assert isinstance(failed.exception(), ValueError)
            assert failed.outputs() == []
            assert isinstance(running.exception(), GroupClosed)
            try:
                submit(group, trio.sleep, 0)
            except GroupClosed as error:
                assert "forked" in str(error)
            else:
                raise AssertionError

            async def inside():
                async with JobGroup() as own:
                    job = await trio.to_thread.run_sync(submit, own, trio.sleep, 0)
                    return await trio.to_thread.run_sync(job.result)

            signal.set_wakeup_fd(-1)  # that of the parent's run
            assert trio.run(inside) is None

        # In a thread, as Trio can't be run inside of Trio.
        assert ended_well(await trio.to_thread.run_sync(in_child, child))
        assert isinstance(await trio.to_thread.run_sync(failed.exception), ValueError)
        running.cancel()

trio.run(main)
"""
    run(code)


@needs_fork
def test_portal_of_parent_is_closed_in_child(run: Run) -> None:
    code = """
import trio

with start_portal() as portal:
    client = Client(sys.argv[1], portal=portal)

    def child():
        for use in (
            lambda: portal.call(trio.sleep, 0),
            lambda: client.predict("ada", api_name="/greet"),
        ):
            try:
                use()
            except GroupClosed as error:
                assert "forked" in str(error)
            else:
                raise AssertionError
        with start_portal() as own:
            assert own.call(trio.sleep, 0) is None

    assert ended_well(in_child(child))
    assert client.predict("ada", api_name="/greet") == "Hello ada!"
"""
    run(code)


@pytest.mark.full
@needs_fork
def test_forking_during_everything_works(run: Run) -> None:
    code = """
sys.setswitchinterval(1e-6)
client = Client(sys.argv[1])
over = threading.Event()

def work():
    while not over.is_set():
        job = client.submit(2, api_name="/count")
        kept.append(job)
        job.add_done_callback(lambda job: None)
        list(job)
        job.outputs()
        client.submit("x", api_name="/hang").cancel()

def child():
    for job in kept[-20:]:
        assert job.exception() is None or isinstance(job.exception(), GroupClosed)
    callers = [
        threading.Thread(target=lambda: said.append(client.predict("x", api_name="/greet")))
        for _ in range(3)
    ]
    said = []
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert said == ["Hello x!"] * 3
    client.close()

kept = []
workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for _ in range(5):
    assert ended_well(in_child(child))
over.set()
for worker in workers:
    worker.join()
"""
    run(code)


@needs_fork
def test_fork_while_another_thread_computes_property(run: Run) -> None:
    code = """
class Slow:
    \"\"\"A choice of a dropdown that takes its time.\"\"\"

    def __str__(self):
        computing.set()
        over.wait()
        return "slow"

def parameter(*choices):
    info = {"parameter_name": "x", "type": {"type": "string"}, "component": "Dropdown"}
    made = Parameter.from_info("x", 0, info, {})
    return dataclasses.replace(made, choices=choices)

import dataclasses
from triojob.gradio.schema.parameters import Parameter

computing, over = threading.Event(), threading.Event()
slow = parameter(Slow())
thread = threading.Thread(target=lambda: slow.choices_by_text)
thread.start()
computing.wait()
assert ended_well(in_child(lambda: parameter("a").choices_by_text))
over.set()
thread.join()
"""
    run(code)


@needs_fork
def test_only_parent_logs_its_failure(start: Start) -> None:
    code = """
client = Client(sys.argv[1])
job = client.submit("kaput", api_name="/fail")
list(job)
if os.fork() == 0:
    sys.exit()  # with all that an ordinary end does
os.wait()
"""
    status, out, err = start(code).end()
    assert (status, out) == (0, "")
    assert err.count(" /fail: it failed, and its failure was never retrieved") == 1


METHODS = [
    pytest.param("spawn", marks=pytest.mark.full),
    pytest.param("fork", marks=needs_fork),
    pytest.param("forkserver", marks=[needs_fork, pytest.mark.full]),
]


@pytest.mark.parametrize("method", METHODS)
def test_pool_processes_have_own_clients(start, own_server, method):
    """As the workers of ``pytest -n``, and of web servers."""
    code = f"""
def work(n):
    global client
    if client is None:
        client = Client(sys.argv[1])
    return client.predict(str(n), api_name="/greet")

client = None
if __name__ == "__main__":
    if {method!r} == "fork":
        client = Client(sys.argv[1])
    context = multiprocessing.get_context({method!r})
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(work, range(8))) == [f"Hello {{n}}!" for n in range(8)]
    assert work(9) == "Hello 9!"
    print("good")
"""
    assert start(code).end() == (0, "good", "")
    own_server.until(lambda server: not server.open_connections)


@pytest.mark.parametrize("method", METHODS[:2])
def test_process_with_running_jobs_ends(start, own_server, method):
    code = f"""
def work(url):
    client = Client(url)
    client.submit("x", api_name="/hang")
    next(client.submit("x", api_name="/endless"))

if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=work, args=(sys.argv[1],))
    process.start()
    process.join()
    print(process.exitcode)
"""
    assert start(code).end() == (0, "0", "")
    own_server.until(lambda server: not server.open_connections)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the descriptors in /proc")
@needs_fork
def test_closing_in_child_leaves_parents_connections(run, own_server):
    code = """
client = Client(sys.argv[1])
job = client.submit("x", api_name="/endless")
next(job)

def child():
    client.close()
    with Client(sys.argv[1]) as own:
        assert own.predict("ada", api_name="/greet") == "Hello ada!"

assert ended_well(in_child(child))
for _ in range(5):
    next(job)
assert not job.done()
"""
    run(code)
    own_server.until_told(1)
