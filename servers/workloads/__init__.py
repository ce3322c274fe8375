"""What is published, and when: plans, a random market, and recordings of real ones."""
