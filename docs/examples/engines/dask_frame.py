import sys

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

from triojob.bulk import BatchCaller

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

if __name__ == "__main__":  # because each process imports this file
    people = pd.DataFrame({"name": [f"person {n}" for n in range(200)]})
    names = dd.from_pandas(people, npartitions=8)
    caller = BatchCaller(URL, "/greet", limit=16)
    # Without `meta`, Dask would call the app with made-up rows to learn the types.
    meta = {**names.dtypes, "result": object, "error": object}
    greeted = names.map_partitions(caller, meta=meta)
    options = {"threads_per_worker": 2, "dashboard_address": None}
    with LocalCluster(2, **options) as cluster, Client(cluster):
        done = greeted.compute()
    print(done["error"].count(), "errors in", len(done), "rows")
    print(done["result"].iloc[-1])

# prints:
# > 0 errors in 200 rows
# > Hello person 199!
