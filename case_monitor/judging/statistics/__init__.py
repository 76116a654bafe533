"""Intervals, tests and adjustments that the figures are made with."""
