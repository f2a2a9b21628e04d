"""Tests of the core: groups, jobs and messages, without Gradio and without real time."""
