"""The first page: every monitored model."""
