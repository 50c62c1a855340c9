"""The URL of a database whose password is a token of our identity, which holds for an hour or so and is renewed.

Rule: the token goes to the database when a connection is opened, and stands in no URL, log, record or message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.models import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping


class Token(Protocol):
    """A token that is renewed before it ends."""

    def current(self) -> Secret:
        """One that holds; nobody waits. Raises StoreUnavailable."""
        ...

    def first(self) -> Secret:
        """The same, waited for where there was none yet. Raises StoreUnavailable."""
        ...


class SignedUrl(Secret):
    """A URL that names who signs in and no password, and the token that is shown instead."""

    __slots__ = ("token",)

    def __init__(self, url: str, token: Token) -> None:
        super().__init__(url)
        self.token = token


def password_of(url: Secret, *, wait: bool) -> Mapping[str, str]:
    """The password to a URL, as psycopg takes it beside one; nothing where the URL itself has it.

    `wait`: for the first token, which only a thread of its own may do. Raises StoreUnavailable.
    """
    if not isinstance(url, SignedUrl):
        return {}
    return {"password": (url.token.first() if wait else url.token.current()).reveal()}
