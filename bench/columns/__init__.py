"""The columns: what stands in trials.csv and in tables, each described once.

The fields of scenarios say it where they are defined (bench/fields.py); the figures in figures.py and
derived.py; catalogue.py has all of them by name, fields.py what follows for comparing scenarios, and words.py
how they are told.
"""
