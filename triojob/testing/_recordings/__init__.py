"""Recordings of apps: `record` makes them, and `RecordedApp` plays them.

- `errors`: what is wrong with a recording, or with a call of a recorded app
- `recording`: a recording in memory, and its file
- `cleaning`: texts without secrets, and files by their content
- `described`: an app with the description of another one
- `matching`: which recorded call a call plays, and the difference if there is none
- `player`: `RecordedApp`
- `relay`: `record`, and the app between a client and the real app
"""
