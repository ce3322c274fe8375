"""How it is measured: the schedule of a run, a trial, its processes and where they run, and the machine."""
