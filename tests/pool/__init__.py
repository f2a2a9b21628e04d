"""Pools of replicas."""
