"""Scripted apps for tests of code that uses triojob."""
