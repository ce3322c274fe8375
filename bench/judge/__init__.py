"""What follows from a run: claims, published figures, a comparison, and which transport to choose."""
