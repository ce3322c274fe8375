"""The harness: runs trials of servers and swarms, and turns raw samples into figures."""
