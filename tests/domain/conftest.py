"""One thread for all tests here."""

from tests.support.one_thread import one_thread

__all__ = ["one_thread"]
