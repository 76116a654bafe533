"""What a login leaves in the browser: a signed cookie. Nothing is kept here, and other tokens end every session."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import lru_cache

from itsdangerous import BadData, URLSafeTimedSerializer

from case_monitor.service.tokens import Right
from case_monitor.settings import Settings

COOKIE = "case_monitor_session"
MAX_AGE_S = 12 * 3600
_ROUNDS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login."""

    id: str
    right: Right


class Sessions:
    """Starts and reads sessions."""

    def __init__(self, settings: Settings) -> None:
        tokens = (settings.read_token, settings.write_token)
        plain = [token and token.get_secret_value() for token in tokens]
        # Without a token there is no login, and only forms need a key: one for as long as this process runs.
        self._key = _derived(json.dumps(plain)) if any(plain) else secrets.token_bytes(32)
        self._has_token = {Right.READ: plain[0] is not None, Right.WRITE: plain[1] is not None}
        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._serializer = URLSafeTimedSerializer(self._key, salt="session", signer_kwargs=options)

    def start(self, right: Right) -> str:
        """A cookie's value for somebody who has shown a token."""
        return str(self._serializer.dumps([secrets.token_hex(16), right.value]))

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it is not ours, too old, or its token is no longer configured."""
        try:
            session_id, right = self._serializer.loads(cookie, max_age=MAX_AGE_S)
        except BadData:
            return None
        session = Session(id=session_id, right=Right(right))
        # Who knows the read token knows the key where there is no other token.
        return session if self._has_token[session.right] else None

    def form_key(self, of: str) -> str:
        """What the forms of a session, or of a proxy's user, bring back."""
        return hmac.new(self._key, b"form " + of.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=4)
def _derived(tokens: str) -> bytes:
    """Slowly, so that a cookie is no help in guessing the other token."""
    return hashlib.pbkdf2_hmac("sha256", tokens.encode(), b"case_monitor session", _ROUNDS)
