"""What the swarm reads and waits by: stamped sockets, TLS, the poller, and the limits of the system."""
