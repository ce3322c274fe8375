"""Locust's users as clients of the swarm. Only the locustfiles import Locust, which patches Python."""
