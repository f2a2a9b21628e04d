import sys

import ray

from triojob.bulk import BatchCaller

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

ray.init(num_cpus=3, include_dashboard=False)  # a local cluster; yours already runs
names = ray.data.from_items([{"name": f"person {n}"} for n in range(1000)])
greeted = names.map_batches(
    BatchCaller,
    fn_constructor_kwargs={"url": URL, "api_name": "/greet", "limit": 16},
    compute=ray.data.ActorPoolStrategy(size=3),  # three processes, each with its own client
    batch_size=100,
)
print(greeted.filter(lambda row: row["error"] is not None).count(), "errors")
print([row["result"] for row in greeted.sort("name").take(2)])

# prints:
# > 0 errors
# > ['Hello person 0!', 'Hello person 1!']
