"""Alerts: when they open, go on and end, and who is told."""
