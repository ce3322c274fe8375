"""Tests of bench/, folder by folder."""
