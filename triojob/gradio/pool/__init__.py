"""Replicas of one app behind one client.

- `balancer`: chooses the replica for a call; no I/O and no clock
- `replica`: the replicas, each with its client
- `endpoint`: the endpoints of a pool; calls that fail over
- `pool`: `ClientPool`
"""
