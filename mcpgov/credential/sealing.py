"""Seals what mcpgov keeps for itself, or gives out and takes back: tokens at rest, consent links, states.

AES-SIV (RFC 5297) takes what a thing is bound to as separate components, so that no two bindings can be spelled alike,
and needs no nonce that two replicas could both use. Each use has a label of its own, and so a key of its own
(RFC 5869): what was sealed for one use opens for no other.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

KEY_BYTES = 32
SHORTEST = 16  # bytes: the tag of nothing


class Seal:
    """Seals under a key derived from `key` for the use that `label` names."""

    __slots__ = ("_cipher", "_label")

    def __init__(self, key: bytes, label: str) -> None:
        """`key` has at least 32 bytes. Raises ValueError for a shorter one."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"the key that seals needs {KEY_BYTES} bytes or more")
        self._label = label.encode()
        self._cipher = AESSIV(HKDF(SHA512(), length=64, salt=None, info=self._label).derive(key))

    def close(self, value: Mapping[str, Json], *bound: str) -> bytes:
        """The value, sealed for whoever names the same `bound`."""
        plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return self._cipher.encrypt(plain, self._components(bound))

    def open(self, sealed: bytes, *bound: str) -> Mapping[str, Json] | None:
        """What was sealed for just these; None for anything else."""
        try:
            plain = self._cipher.decrypt(sealed, self._components(bound)) if len(sealed) > SHORTEST else None
        except InvalidTag:
            return None
        return cast("dict[str, Json]", json.loads(plain)) if plain else None

    def close_text(self, value: Mapping[str, Json], *bound: str) -> str:
        """The same as base64url, for a URL or a form."""
        return _spelled(self.close(value, *bound))

    def open_text(self, sealed: str, *bound: str) -> Mapping[str, Json] | None:
        """What close_text() sealed; None for any other text, also for another spelling of the same bytes."""
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        except ValueError:
            return None
        return self.open(raw, *bound) if _spelled(raw) == sealed else None

    def _components(self, bound: tuple[str, ...]) -> list[bytes | bytearray | memoryview]:
        return [self._label, *(text.encode() for text in bound)]


def _spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
