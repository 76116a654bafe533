"""Figures with their uncertainty: of one version, and between two."""
