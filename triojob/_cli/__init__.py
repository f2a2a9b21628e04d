"""The command line: a surface, which calls apps by the public names of triojob.

``app.py`` has the commands and their options.
Each command has a file: ``info.py``, ``call.py``, ``map.py``, ``stubs.py``, ``completion.py`` and
``demo.py``.

What they share: ``connecting.py`` makes the client, ``ending.py`` turns what happens into one of
``exit_codes.py``, ``terminal.py`` writes data and ``screen.py`` words, ``arguments.py`` reads what
was typed, ``outputs.py`` what came back.

``map.py`` stands on ``rows.py`` (the input), ``plan.py`` (from a row to arguments), ``source.py``
(which row is next), ``ledger.py`` (the output file, and what a kill leaves of it), ``streams.py``
(outputs that are no regular files), ``outage.py`` (an app that goes away) and ``progress.py``.

``demo.py`` starts ``demo_app.py``, a Gradio app, in a process of its own, and then plays
``demo_acts.py``, which is the file to read for how triojob is used.
``demo_stage.py`` is what the acts show themselves on.
"""
