"""Stress: many threads, an interrupt at any instruction, and a killed `triojob map`."""
