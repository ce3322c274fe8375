"""Locust's users as clients of the swarm. Only the two locustfiles import Locust, which patches Python."""
