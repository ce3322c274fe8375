"""Tests of bench/course/."""
