"""The command line, which calls apps through the public API of triojob.

``app.py`` has the commands and their options.
Each command has a file: ``info.py``, ``call.py``, ``map.py``, ``stubs.py``, ``completion.py`` and
``demo.py``.

Shared modules: ``connecting.py`` makes the client, ``ending.py`` turns a result or an error into
one of ``exit_codes.py``, ``terminal.py`` writes data to standard output and ``screen.py`` messages
to standard error, ``arguments.py`` reads typed arguments.

``map.py`` is an interface to the runs of `triojob._durable`.  It adds ``rows.py`` (the input),
``plan.py`` (from a row to arguments), ``streams.py`` (outputs that are not regular files) and
``progress.py``.

``demo.py`` starts ``demo_app.py``, a Gradio app, in a separate process, and then plays
``demo_acts.py``, which shows how to use triojob.
``demo_stage.py`` displays the acts.
"""
