"""Fan-out: one call to many jobs, and their results.

- `gather`: `gather`, `first_completed` and `first_success`
- `as_completed`: `as_completed`: jobs in the order in which they end
- `map`: `map`
- `results`: the task and the iterator behind `map`
- `inputs`: takes items from iterables, one at a time and at a pace
"""
