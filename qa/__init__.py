"""Qualification programs: what takes too long, or needs too much, for each run of the tests.

`qualify` runs those that write pages or take long; CONTRIBUTING.md says when.

- `differential`: the same calls through gradio_client and the bridge, as docs/migration.md says
- `engines`: bulk jobs on real clusters of Ray, Dask and Spark, with workers killed
- `eras`: what works on old releases of Gradio; writes ``docs/eras.md``
- `fuzz`: what reads a server's bytes, with inputs from Hypothesis and atheris
- `measuring`: the benchmarks' arithmetic, and that their replay server equals a real one
- `model`: programs, schedules and faults in any order, from state machines and strategies
- `mutation`: whether the tests detect small mistakes; writes ``reliability/mutation-figures.md``
- `nginx`: a real app behind a real nginx
- `notebook`: the documentation's notebooks, in real kernels
- `reliability`: each fault at each moment of a call; writes ``reliability/matrix.md``
- `sabotage`: each function that a call runs raises once
- `soak`: very many jobs through a proxy that injects faults; writes ``reliability/soak.*``
- `stress`: many threads, calls and cancellations, interrupts at each instruction, killed runs

Short versions of some of them are part of the default test run (`testpaths` in pyproject.toml).
"""
