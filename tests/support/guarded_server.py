"""A reverse proxy that asks for a password (HTTP basic), as people put one before MLflow."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.passing_on import PassingOn, standing_before


class _Guard(PassingOn):
    taken: frozenset[str]
    own_headers = frozenset({"authorization"})

    def answer(self, body: bytes) -> None:
        if self.headers.get("Authorization") in self.taken:
            self.say(*self.passed_on(body))
        else:
            self.say(401, [("WWW-Authenticate", "Basic")], b"")


@contextmanager
def guarded(server: str, *logins: str) -> Iterator[str]:
    """Gives host and port at which `server` can be reached with one of these logins (user:password)."""
    taken = frozenset(f"Basic {base64.b64encode(login.encode()).decode()}" for login in logins)
    with standing_before(server, _Guard, taken=taken) as address:
        yield address
