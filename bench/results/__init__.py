"""What is kept of a run: raw deliveries, figures, validity, estimates, and the folder on disk."""
