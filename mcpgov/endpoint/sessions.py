"""Seals the upstream's session ids, so that an id is good for one principal on one connection and for nobody else.

The client holds the only copy of its sealed id: nothing is stored, and every worker that has the key can open it. An id
presented by another caller or at another connection is answered like one that never was (404, unknown-session), for a
session that answers to whoever knows its id is how gateways mix up tenants (agentgateway GHSA-mvgg-jvj2-4frq).

It refuses to know whether the upstream still keeps the session: the upstream says so.
"""

from __future__ import annotations

import base64
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov.decision import Reason
from mcpgov.errors import Refusal

LABEL = b"mcpgov session 1"  # of what is sealed and how; a change of either gets another number
KEY_BYTES = 32
UPSTREAM_ID = re.compile(r"[!-~]{1,1024}")  # visible ASCII (MCP 2025-11-25, Transports, "Session Management")
SEALED_LENGTH = 1387  # of the longest: 1024 characters and a tag of 16 bytes, in base64


class SessionSeal:
    """Seals and opens with AES-SIV (RFC 5297), under a key derived from `key` for this use alone (RFC 5869).

    AES-SIV needs no nonce, so one session has one sealed id however often the upstream repeats it; and it takes the
    principal and the connection as separate components, so that no two pairs can be spelled alike.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """`key` has at least 32 bytes. Raises ValueError for a shorter one."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"the key that seals sessions needs {KEY_BYTES} bytes or more")
        self._cipher = AESSIV(HKDF(SHA512(), length=64, salt=None, info=LABEL).derive(key))

    def seal(self, upstream_session_id: str, principal_id: str, connection: str) -> str:
        """The id that the client is given: base64url. Raises Refusal (upstream-invalid) for an id that is not one."""
        if not UPSTREAM_ID.fullmatch(upstream_session_id):
            raise Refusal(Reason.UPSTREAM_INVALID, "The server gave a session id that is empty, too long or not text.")
        return _spelled(self._cipher.encrypt(upstream_session_id.encode(), _bound_to(principal_id, connection)))

    def open(self, sealed: str, principal_id: str, connection: str) -> str:
        """The upstream's id. Raises Refusal (unknown-session) unless it was sealed for just these two."""
        session = self._opened(sealed, principal_id, connection)
        if session is None:
            raise Refusal(Reason.UNKNOWN_SESSION, "There is no such session. Initialize a new one.")
        return session

    def _opened(self, sealed: str, principal_id: str, connection: str) -> str | None:
        if len(sealed) > SEALED_LENGTH:
            return None
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            if _spelled(raw) != sealed:  # base64 has several spellings of the same bytes; an id has one
                return None
            return self._cipher.decrypt(raw, _bound_to(principal_id, connection)).decode()
        except (ValueError, InvalidTag):
            return None


def _spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bound_to(principal_id: str, connection: str) -> list[bytes | bytearray | memoryview]:
    return [LABEL, principal_id.encode(), connection.encode()]
