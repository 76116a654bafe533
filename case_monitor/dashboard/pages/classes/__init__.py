"""The classes of one evaluation, and the details of each."""
