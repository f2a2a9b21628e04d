"""The command line: a surface, which uses the public names of triojob like any other program.

``app.py`` has the commands.
``demo.py`` runs the demo: it starts ``demo_app.py``, a Gradio app, in a process of its own, and
then plays ``demo_acts.py``, which is the file to read for how triojob is used.
``demo_stage.py`` is what the acts show themselves on.
"""
