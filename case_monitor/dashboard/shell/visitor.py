"""Who asks for a page, and what they may do there: found out before any page is made."""

from dataclasses import dataclass

from fastapi import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One request's sender.

    Attributes:
        may_read: see pages and the JSON API.
        may_write: acknowledge and mute alerts.
        user: the name that a trusted proxy vouches for.
        logged_in: by the cookie that the login gives.
        by_token: by the header `Authorization: Bearer`, which no other site can make a browser send.
        form_key: what this visitor's forms bring back, so that no other site can send them; None: has no forms.
    """

    may_read: bool
    may_write: bool = False
    user: str | None = None
    logged_in: bool = False
    by_token: bool = False
    form_key: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything that tells this visitor from anybody else."""
        return self.by_token or self.logged_in or self.user is not None


def visitor_of(request: Request) -> Visitor:
    """The sender of this request."""
    found: Visitor = request.state.visitor
    return found
