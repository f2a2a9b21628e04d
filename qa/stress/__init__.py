"""Stress: many threads, calls and cancellations, interrupts at any instruction, and killed `triojob map`."""
