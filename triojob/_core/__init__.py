"""The core: jobs and their groups, over Trio alone; nothing of Gradio.

- `messages`: what a job's memory channel carries: frozen messages
- `sink`: where the messages of a job go: the sending end of its memory channel
- `report`: `report`, by which functions of your own tell of themselves
- `history`: what a job remembers, bounded by `history=`, and the cursors over it
- `limiter`: a limit that keeps the order of ids, for groups and sessions
- `retry`: `Retry`: when a call is made again; only numbers, no waiting
- `observers`: who is told of a job: listeners, tasks that wait
- `record`: what is known of a job: state, history, outcome, and who retrieves that
- `runner`: receives what a job's call sends, and writes the record
- `iterators`: iteration over a job
- `job`: `Job`, which reads the record
- `call`: what runs as a job: a call whose arguments are checked
- `group`: `JobGroup`, the only opener of a nursery for jobs
- `instruments`: `Instrument` and `GroupStatistics`: hooks and counts
- `logs`: what the log says of jobs
- `runs`: refuses what belongs to another Trio run
- `lifetime`: context managers that hide the nurseries inside them
- `containment`: turns whatever one call's data raises into that call's failure
"""
