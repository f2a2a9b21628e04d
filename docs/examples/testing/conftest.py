pytest_plugins = ["triojob.testing.pytest"]
