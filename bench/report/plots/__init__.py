"""The figures: plot functions that take tidy tables, and which experiment draws which."""
