"""The live view of jobs: `triojob.live`; rich is imported once a view is made."""
