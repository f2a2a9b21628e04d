"""Sabotage: each function that a call runs raises once, and no other call notices."""
