"""Who may do what on the admin plane: three roles, the keys that carry them, and how no is said.

Admin keys begin with `mcpgov_admin_` and are kept apart from gateway keys: neither opens what the other is for. A role
allows what the roles below it allow. What no rule allows is refused.
Refuses to know: what HTTP is, and what is behind a route.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.frozen import frozen
from mcpgov.identity.api_key import NO_DIGEST, digest, key_id_of, mint_key
from mcpgov.identity.api_key import PREFIX as GATEWAY_PREFIX
from mcpgov.models import Secret

if TYPE_CHECKING:
    from datetime import datetime

# Writes a control event of this name into the ledger, with its details. Raises StoreUnavailable.
Note = Callable[[str, Mapping[str, str]], Awaitable[None]]

SIGNED_IN: Final = "admin-signed-in"
REFUSED: Final = "admin-refused"
ACTED: Final = "admin-acted"
PREFIX: Final = f"{GATEWAY_PREFIX}admin_"


class Role(StrEnum):
    """What somebody may do, from the least to the most."""

    VIEWER = "viewer"  # look
    OPERATOR = "operator"  # make and revoke gateway keys, approve and reject tools
    ADMIN = "admin"  # make and revoke admin keys

    def allows(self, needed: Role) -> bool:
        """Whether this role is `needed` or more."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


class Fault(StrEnum):
    """Why the admin plane says no; the words are the data plane's where it has them."""

    CREDENTIAL_MISSING = "credential-missing"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_REVOKED = "credential-revoked"
    ROLE_MISSING = "role-missing"
    HOST_DENIED = "host-denied"
    ORIGIN_DENIED = "origin-denied"
    INVALID_REQUEST = "invalid-request"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "too-large"
    STORE_UNAVAILABLE = "store-unavailable"


STATUS: Final = {
    Fault.CREDENTIAL_MISSING: 401,
    Fault.CREDENTIAL_INVALID: 401,
    Fault.CREDENTIAL_EXPIRED: 401,
    Fault.CREDENTIAL_REVOKED: 401,
    Fault.ROLE_MISSING: 403,
    Fault.HOST_DENIED: 421,
    Fault.ORIGIN_DENIED: 403,
    Fault.INVALID_REQUEST: 400,
    Fault.NOT_FOUND: 404,
    Fault.METHOD_NOT_ALLOWED: 405,
    Fault.CONFLICT: 409,
    Fault.TOO_LARGE: 413,
    Fault.STORE_UNAVAILABLE: 503,
}


class AdminRefusal(Exception):
    """The admin plane says no; `message` is for whoever asked, and repeats no secret. `allow` names the methods that
    the path has, where another was asked for (RFC 9110 section 15.5.6).
    """

    def __init__(self, fault: Fault, message: str, allow: str = "") -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.message = message
        self.allow = allow

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.fault]


@frozen
class Person:
    """Whoever is signed in. `key_id` is empty for the one who came by the link that the start printed."""

    name: str
    role: Role
    key_id: str = ""

    @property
    def id(self) -> str:
        """How records name them."""
        return f"admin:{self.key_id or 'link'}"


@frozen
class AdminKey:
    """An admin key at rest. `digest` is the SHA-256 of the whole key, in hex; times are UTC."""

    id: str
    digest: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AdminKeyStore(Protocol):
    """Where admin keys are kept. Every method raises StoreUnavailable."""

    async def find(self, key_id: str) -> AdminKey | None:
        """The key with this id, revoked and expired ones included."""
        ...

    async def create(self, key: AdminKey) -> None:
        """Keep a new key."""
        ...

    async def list(self) -> Sequence[AdminKey]:
        """Every key, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        ...


def mint_admin_key(choose: Callable[[str], str]) -> tuple[str, Secret]:
    """A new admin key as (id, the key itself). `choose` picks one character of an alphabet, unpredictably."""
    key_id, key = mint_key(choose)
    return key_id, Secret(PREFIX + key.reveal().removeprefix(GATEWAY_PREFIX))


async def person_of(key: str, keys: AdminKeyStore, now: datetime) -> Person:
    """Who holds a key. Raises AdminRefusal (credential-…), StoreUnavailable."""
    # The checksum is over the key as it was minted, before it got this prefix.
    key_id = key_id_of(GATEWAY_PREFIX + key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
    found = await keys.find(key_id) if key_id is not None else None
    matches = hmac.compare_digest(found.digest if found else NO_DIGEST, digest(key))
    if found is None or not matches:
        raise AdminRefusal(Fault.CREDENTIAL_INVALID, "This is not a valid admin key.")
    return holder(found, now)


def holder(key: AdminKey, now: datetime) -> Person:
    """Who holds a key that is known. Raises AdminRefusal (credential-revoked, credential-expired)."""
    if key.revoked_at is not None:
        raise AdminRefusal(Fault.CREDENTIAL_REVOKED, "This admin key was revoked.")
    if not key.is_in_force(now):
        raise AdminRefusal(Fault.CREDENTIAL_EXPIRED, "This admin key has expired.")
    return Person(key.name, key.role, key.id)


def deed(person: Person, what: str) -> Mapping[str, str]:
    """What the ledger says of something that somebody does here."""
    return {"admin": person.id, "name": person.name, "role": person.role.value, "what": what}


def require(person: Person, role: Role) -> None:
    """Raise AdminRefusal (role-missing) unless somebody may do what needs this role."""
    if not person.role.allows(role):
        raise AdminRefusal(Fault.ROLE_MISSING, f"This needs the role {role}; you have {person.role}.")
