"""The caller itself: what it is made of, what travels, and whose client it uses."""

from __future__ import annotations

import copy
import pickle

import pytest

from tests.bulk.support import BulkServer
from tests.support.threads import HAS_FORK, Script, Watched, wait_for
from triojob import Retry
from triojob.bulk import BatchCaller

SECRET = "s3cret"


def test_its_repr_tells_no_secret():
    caller = BatchCaller(
        f"http://127.0.0.1:7860/app?key={SECRET}",
        "/greet",
        fixed_arguments={"password": SECRET},
        client_options={"auth": ("ada", SECRET), "headers": {"Authorization": SECRET}},
    )
    assert repr(caller) == "<BatchCaller of /greet at http://127.0.0.1:7860/app/>"
    assert SECRET not in repr(vars(caller))
    several = BatchCaller([f"http://x?key={SECRET}", "http://y"], "/greet")
    assert repr(several) == "<BatchCaller of /greet at http://x/, http://y/>"
    assert repr(BatchCaller("http://x")) == "<BatchCaller of the only endpoint at http://x/>"


@pytest.mark.parametrize(
    "options, error",
    [
        ({"limit": 0}, "limit must be"),
        ({"limit": True}, "limit must be"),
        ({"limit": 1.5}, "limit must be"),
        ({"timeout": 0}, "timeout must be"),
        ({"on_error": "ignore"}, 'on_error must be "column" or "raise"'),
        ({"output": []}, "different names"),
        ({"output": "error"}, "different names"),
        ({"output": ["a", "a"]}, "different names"),
        ({"inputs": {"a": "x"}, "fixed_arguments": {"a": 1}}, "'a' is in both inputs and fixed"),
        ({"client_options": {"auth": "ada"}}, "auth must be"),
        ({"client_options": {"speed": 1}}, "speed"),
        ({"url": "ftp://x"}, "must start with http"),
        ({"url": ["http://x", "ftp://x"]}, "must start with http"),
        ({"url": ["http://x", "http://x"]}, "each only once"),
        ({"url": []}, "needs one or more replicas"),
    ],
)
def test_invalid_options_are_refused_at_once(options, error):
    with pytest.raises((TypeError, ValueError), match=error):
        BatchCaller(**{"url": "http://x", **options})


def test_copies_share_client_and_limit(server: BulkServer):
    caller = BatchCaller(server.url, "/held", limit=3)
    copies = [caller, copy.copy(caller), pickle.loads(pickle.dumps(caller))]
    threads = [
        Watched(each, {"text": [f"{n} {i}" for i in range(4)]}) for n, each in enumerate(copies)
    ]
    wait_for(lambda: server.held == 3)
    server.open_gate()
    for n, thread in enumerate(threads):
        assert thread.get()["result"] == [f"{n} {i}" for i in range(4)]
    assert server.most == 3
    assert server.openings() == 1


def test_used_caller_can_be_pickled(server: BulkServer):
    caller = BatchCaller(server.url, "/greet", retry=Retry(attempts=3), limit=5)
    before = pickle.dumps(caller)
    caller({"name": ["Ada"]})
    assert pickle.dumps(caller) == before
    again = pickle.loads(before)
    assert vars(again) == vars(caller)
    assert again({"name": ["Ada"]})["result"] == ["Hello Ada!"]


def test_next_batch_after_closing_opens_another_client(server: BulkServer):
    caller = BatchCaller(server.url, "/held")
    caller.close()  # nothing is open
    thread = Watched(caller, {"text": ["a"]})
    wait_for(lambda: server.held == 1)
    caller.close()
    (error,) = thread.get()["error"]
    assert error.startswith(("JobCancelled: ", "ClientClosed: "))
    server.open_gate()
    assert caller({"text": ["b"]})["result"] == ["B"]
    assert server.openings() == 2


def test_iterator_gets_its_batches_one_by_one(server: BulkServer):
    caller = BatchCaller(server.url, "/greet")
    batches = caller.in_pandas(iter([{"name": ["Ada"]}, {"name": ["Grace"]}]))
    assert next(batches)["result"] == ["Hello Ada!"]
    assert len(server.joins()) == 1
    assert [batch["result"] for batch in batches] == [["Hello Grace!"]]


def test_processes_of_pool_open_one_client_each(server: BulkServer, tmp_path):
    code = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from triojob.bulk import BatchCaller

if __name__ == "__main__":
    caller = BatchCaller(sys.argv[1], "/greet")
    batches = [{"name": [f"{b} {i}" for i in range(5)]} for b in range(8)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for batch, done in zip(batches, pool.map(caller, batches)):
            assert done["result"] == [f"Hello {name}!" for name in batch["name"]]
    print("good")
"""
    assert Script(tmp_path, code, server.url).end() == (0, "good", "")
    assert len(server.joins()) == 40
    assert server.openings() in (1, 2)  # the other process may have found nothing left to do


@pytest.mark.skipif(not HAS_FORK, reason="there is no fork here")
def test_forked_child_opens_client_of_its_own(server: BulkServer, tmp_path):
    code = """
import os, sys, warnings
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
from triojob.bulk import BatchCaller

caller = BatchCaller(sys.argv[1], "/greet")
assert caller({"name": ["Ada"]})["result"] == ["Hello Ada!"]
pid = os.fork()
if pid == 0:
    good = caller({"name": ["Grace"]})["result"] == ["Hello Grace!"]
    os._exit(0 if good else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert caller({"name": ["Edsger"]})["result"] == ["Hello Edsger!"]
print("good")
"""
    assert Script(tmp_path, code, server.url).end() == (0, "good", "")
    assert server.openings() == 2


def test_importing_it_imports_no_engine_or_table(tmp_path):
    code = """
import sys, triojob.bulk
print(sorted({"ray", "dask", "pyspark", "pandas", "numpy", "pyarrow"} & set(sys.modules)))
"""
    assert Script(tmp_path, code).end() == (0, "[]", "")
