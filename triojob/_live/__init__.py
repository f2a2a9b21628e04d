"""The live view of jobs; rich is imported once a view is made."""
