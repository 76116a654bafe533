"""A folder for temporary ones that nobody else puts any in."""

from tests.isolation.conftest import own_temporary_folder

__all__ = ["own_temporary_folder"]
