"""Measures the saliency engine against other libraries. See README.md."""
