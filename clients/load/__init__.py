"""What drives many clients: the swarm, ordinary clients beside it, and the process that runs either."""
