"""What is typed: a file for each group of commands, and what they share. Words only."""
