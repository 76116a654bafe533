"""A model through its versions or over time."""
