"""The tests: a folder for each package and room; what they share stands here."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The folder of the project."""
