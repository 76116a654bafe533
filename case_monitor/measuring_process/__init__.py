"""Versions are measured here, in a process that holds the images and knows no secret; who judges asks it (ADR 16)."""
