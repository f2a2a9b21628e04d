"""Soak: very many jobs through a proxy that injects faults, in one process; see `__main__`."""
