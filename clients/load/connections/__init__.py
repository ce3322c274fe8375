"""What becomes of the swarm's connections: whose they are, how they are missed, tried again, and ended."""
