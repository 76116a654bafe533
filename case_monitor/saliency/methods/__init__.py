"""A file a formula."""
