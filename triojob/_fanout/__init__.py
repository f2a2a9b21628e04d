"""Fan-out: one call to many jobs, and their results.

- `gather`: `gather`, `first_completed` and `first_success`
- `as_completed`: `as_completed`: jobs in the order in which they end
- `map`: `map`
- `results`: the iterator that `map` returns
- `result_queue`: the calls whose results that iterator has not returned yet
- `starter`: the task that reads items and starts a job for each
- `inputs`: reads items from iterables, one at a time, and limits the rate of starts
"""
