"""Gateway keys: how one is made, how it is recognised, whether it still holds, and what it may be used for.

A key reads `mcpgov_` + 8 characters of id + 32 of secret + 6 of checksum, all base 62, so that scanners can find a
leaked one and a mistyped one is refused without asking the store. At rest there is only its SHA-256: the secret has
190 bits, which a slow hash would not make safer. A wrong key takes the same time to refuse as an unknown one.

A key that is rotated stays known: the new one that stands for it has a name, a project and a scope like it, and both
hold until the old one's end. Refuses to know: what a scope means to connections and tools, which is policy's.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import CallerScope, Principal, PrincipalKind, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import RequestHead

PREFIX = "mcpgov_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)  # two digits in base 62
ID_LENGTH = 8
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6
KEY_LENGTH = len(PREFIX) + ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH

NO_DIGEST = "0" * 64
EVERYTHING = CallerScope()


@frozen
class KeyRecord:
    """A gateway key at rest. `digest` is the SHA-256 of the whole key, in hex; times are UTC.

    `last_used_at` is right to the minute. `replaced_by` is the id of the key that it was rotated to.
    """

    id: str
    digest: str
    name: str
    project: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    scope: CallerScope = EVERYTHING
    last_used_at: datetime | None = None
    replaced_by: str = ""

    def has_expired(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.expires_at is not None and self.expires_at <= now

    def can_be_rotated(self, now: datetime) -> bool:
        """Whether it is in force, and no other key stands for it yet."""
        return self.revoked_at is None and not self.replaced_by and not self.has_expired(now)


class KeyFinder(Protocol):
    """Where keys are looked up. Raises StoreUnavailable when it cannot be said."""

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, revoked and expired ones included."""
        ...


class KeyStore(KeyFinder, Protocol):
    """Where keys are kept. Every method raises StoreUnavailable when it cannot do what it says."""

    async def create(self, record: KeyRecord) -> None:
        """Keep a new key."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        ...

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        """Keep `new`, made now, in place of a key, which ends `until` unless it ends earlier; False, and nothing is
        kept, when there is no key with this id in force, or it was rotated before.
        """
        ...

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used. A lock in the store does not hold up the event loop."""
        ...


class Uses(Protocol):
    """Where it is noted that a key was used."""

    def note(self, key_id: str, at: datetime) -> None:
        """Note a use. Neither waits nor fails."""
        ...


def mint_key(choose: Callable[[str], str]) -> tuple[str, Secret]:
    """A new key as (id, the key itself). `choose` picks one character of an alphabet, unpredictably."""
    key_id = "".join(choose(ALPHABET) for _ in range(ID_LENGTH))
    body = PREFIX + key_id + "".join(choose(ALPHABET) for _ in range(SECRET_LENGTH))
    return key_id, Secret(body + _checksum(body))


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id_of(key: str) -> str | None:
    """The id inside a well-formed key; None when the length or the checksum says that it never was one."""
    if len(key) != KEY_LENGTH or not key.isascii():
        return None
    body, checksum = key[:-CHECKSUM_LENGTH], key[-CHECKSUM_LENGTH:]
    if not hmac.compare_digest(_checksum(body), checksum):
        return None
    return body[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def principal_id(key_id: str) -> str:
    """Who calls with this key."""
    return f"key:{key_id}"


def _checksum(body: str) -> str:
    rest, last = divmod(zlib.crc32(body.encode()), len(PAIRS))
    first, middle = divmod(rest, len(PAIRS))
    return PAIRS[first] + PAIRS[middle] + PAIRS[last]


@frozen
class ApiKeyAuthenticator:
    """Recognises gateway keys in the named headers: after `Bearer ` in Authorization, bare in any other.

    Without `uses` nobody notes when a key was last used.
    """

    keys: KeyFinder
    headers: tuple[str, ...]
    now: Callable[[], datetime]
    uses: Uses | None = None

    def recognises(self, head: RequestHead) -> bool:
        """Whether something that begins like a gateway key is presented."""
        return bool(self._presented(head))

    async def authenticate(self, head: RequestHead) -> Principal:
        """The key's principal. Raises Refusal: credential-invalid, -revoked, -expired, -ambiguous, keys-unavailable."""
        presented = self._presented(head)
        if len(presented) > 1:
            raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "More than one gateway key was presented. Send exactly one.")
        key = "".join(presented)
        key_id = key_id_of(key)
        try:
            record = await self.keys.find(key_id) if key_id is not None else None
        except StoreUnavailable as error:
            raise Refusal(
                Reason.KEYS_UNAVAILABLE, "Keys cannot be checked at the moment.", detail=str(error)
            ) from error
        matches = hmac.compare_digest(record.digest if record else NO_DIGEST, digest(key))
        if record is None or not matches:
            raise Refusal(Reason.CREDENTIAL_INVALID, "This is not a valid gateway key.")
        now = self.now()
        _require_in_force(record, now)
        if self.uses is not None:
            self.uses.note(record.id, now)
        return Principal(
            id=principal_id(record.id),
            kind=PrincipalKind.KEY,
            name=record.name,
            project=record.project,
            credential=f"{PREFIX}{record.id}…",
            scope=record.scope,
        )

    def _presented(self, head: RequestHead) -> frozenset[str]:
        """The gateway keys in the request. Who calls must not depend on which of several is read first."""
        found: set[str] = set()
        for name in self.headers:
            for value in head.headers.all(name):
                if PREFIX not in value:
                    continue
                scheme, _, rest = value.partition(" ")
                key = rest.strip() if name == "authorization" and scheme.lower() == "bearer" else value.strip()
                if key.startswith(PREFIX):
                    found.add(key)
        return frozenset(found)


def _require_in_force(record: KeyRecord, now: datetime) -> None:
    if record.revoked_at is not None:
        raise Refusal(Reason.CREDENTIAL_REVOKED, "This gateway key was revoked.", detail=record.id)
    if record.has_expired(now):
        raise Refusal(Reason.CREDENTIAL_EXPIRED, "This gateway key has expired.", detail=record.id)
