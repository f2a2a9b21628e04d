"""`triojob.testing`: scripted apps beside real ones, their records, and the pytest fixtures."""
