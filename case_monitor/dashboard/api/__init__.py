"""The records of the pages as JSON, and the parts of an evaluation as files."""
