"""The clients that are measured: each module is a program that runs one scenario with one client.

``python -m benchmarks.rivals.NAME SCENARIO '{"url": ...}'`` prints one line of JSON.
"""
