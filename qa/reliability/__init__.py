"""Reliability: a proxy that does harm, between the client and a real server."""
