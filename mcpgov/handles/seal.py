"""Seals an upstream's ids, so that each is good for one principal, on one connection, at one upstream. Pure.

The client holds the only copy of what is sealed: nothing is stored, and every worker that has the key can open it. What
another caller presents, or the same at another connection, or once another upstream stands behind the connection, does
not open: a session that answers to whoever knows its id is how gateways mix up tenants (agentgateway
GHSA-mvgg-jvj2-4frq, MCP Python SDK CVE-2026-52869 and CVE-2026-52870).

It refuses to know whether the upstream still knows the id: the upstream says so.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov.frozen import frozen

LABEL: Final = b"mcpgov handle 2"  # of what is sealed and how; a change of either gets another number
KEY_BYTES: Final = 32
LONGEST: Final = 1024  # bytes of an upstream's id
SEALED_LENGTH: Final = 1387  # of the longest: its bytes and a tag of 16, in base64


class Sort(StrEnum):
    """What an id is of. One of one sort is none of another."""

    SESSION = "session"
    TASK = "task"
    EVENT = "event"


@frozen
class Holder:
    """Whose an id is, and where it came from. `place` is the upstream behind the connection, `session` its own id."""

    principal: str
    connection: str
    place: str
    session: str = ""

    def within(self, session: str) -> Holder:
        """The same holder in a session."""
        return replace(self, session=session)


class Seal:
    """Seals and opens with AES-SIV (RFC 5297), under a key derived from `key` for this use alone (RFC 5869).

    AES-SIV needs no nonce, so one id has one sealed form however often the upstream repeats it; and it takes what an id
    is bound to as separate components, so that no two holders can be spelled alike.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """`key` has at least 32 bytes. Raises ValueError for a shorter one."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"the key that seals ids needs {KEY_BYTES} bytes or more")
        self._cipher = AESSIV(HKDF(SHA512(), length=64, salt=None, info=LABEL).derive(key))

    def seal(self, own: bytes, sort: Sort, holder: Holder) -> str | None:
        """What the client is given: base64url. None for an id that is empty or longer than 1024 bytes."""
        if not 0 < len(own) <= LONGEST:
            return None
        return _spelled(self._cipher.encrypt(own, _bound_to(sort, holder)))

    def unseal(self, sealed: str, sort: Sort, holder: Holder) -> bytes | None:
        """The upstream's id; None unless it was sealed as just this, for just this holder."""
        if len(sealed) > SEALED_LENGTH:
            return None
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            if _spelled(raw) != sealed:  # base64 has several spellings of the same bytes; an id has one
                return None
            return self._cipher.decrypt(raw, _bound_to(sort, holder))
        except (ValueError, InvalidTag):
            return None


def _spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bound_to(sort: Sort, holder: Holder) -> list[bytes | bytearray | memoryview]:
    parts = (sort.value, holder.principal, holder.connection, holder.place, holder.session)
    return [LABEL, *(part.encode("utf-8", "surrogatepass") for part in parts)]
