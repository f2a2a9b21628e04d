"""The core: jobs and their groups, built on Trio alone; independent of Gradio.

- `messages`: frozen messages that a job's memory channel carries
- `sink`: the sending end of a job's memory channel
- `report`: `report`, with which your own functions report their progress
- `history`: the messages that a job keeps, bounded by `history=`, and the cursors over them
- `latency`: percentiles of durations, in bounded memory
- `rate`: how many things complete per second
- `limiter`: a limiter that serves jobs in the order of their ids, for groups and sessions
- `retry`: `Retry`: decides when to retry a call; only numbers, no waiting
- `observers`: notifies the listeners of a job and the tasks that wait for it
- `record`: the state of a job: status, history, outcome, and whether the outcome is retrieved
- `runner`: receives what a job's call sends, and writes the record
- `iterators`: iteration over a job
- `job`: `Job`, which reads the record
- `call`: a call with checked arguments, which runs as a job
- `group`: `JobGroup`, the only opener of a nursery for jobs
- `instruments`: `Instrument` and `GroupStatistics`: hooks and counts
- `logs`: log records about jobs
- `runs`: refuses objects of another Trio run
- `lifetime`: context managers that hide the nurseries inside them
- `containment`: turns whatever the data of one call raises into the failure of that call
"""
