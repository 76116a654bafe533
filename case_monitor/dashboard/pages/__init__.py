"""A folder for each page: its record, how that is read, and its address."""
