import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray

from triojob.bulk import BatchCaller
from triojob.sync import Client

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"


class Killed(BatchCaller):
    """Kills its process once, when a batch is finished and nobody has its results."""

    def __init__(self, marker: Path, **options: Any) -> None:
        super().__init__(**options)
        self.marker = marker

    def __call__(self, batch: Any) -> Any:
        done = super().__call__(batch)
        if "row 27" in batch["text"] and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return done


with tempfile.TemporaryDirectory() as folder, Client(URL, verbose=False) as app:
    before = app.predict("parallel_sleep", api_name="/probe").get("started", 0)
    ray.init(num_cpus=3, include_dashboard=False)
    rows = ray.data.from_items([{"text": f"row {n}"} for n in range(60)], override_num_blocks=12)
    done = rows.map_batches(
        Killed,
        fn_constructor_kwargs={
            "marker": Path(folder) / "killed",
            "url": URL,
            "api_name": "/parallel_sleep",
            "inputs": {"value": "text"},
            "fixed_arguments": {"seconds": 0.1},
        },
        compute=ray.data.ActorPoolStrategy(size=3),
        batch_size=5,
    ).take_all()
    calls = app.predict("parallel_sleep", api_name="/probe")["started"] - before
    print(len(done), "rows,", sum(row["result"] == row["text"] for row in done), "right results")
    print(calls - len(done), "calls were repeated")

# prints:
# > 60 rows, 60 right results
# > 5 calls were repeated
