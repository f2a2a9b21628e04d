"""Stress: threads, cancellations, interrupts, and killed runs of `triojob map`, many of each."""
