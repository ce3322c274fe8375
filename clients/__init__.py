"""The instrument's eyes: one sans-I/O client per transport, and the swarm that drives thousands of them."""
