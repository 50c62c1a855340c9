"""A token as a dry run takes it for granted: whatever it says, it is signed, and its issuer is known.

The key is nobody's secret: it is derived from a word, so that a test is the same on every machine, and it is trusted
nowhere but in dry runs, which send nothing.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mcpgov.json_web_token import KeySet, SigningKey
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

KEY_ID: Final = "dry-run"
LIFETIME: Final = timedelta(hours=1)
_ALGORITHM: Final = "EdDSA"  # RFC 8037


def assumed_token(claims: Mapping[str, Json], now: datetime) -> str:
    """A signed token that says `claims`; where they do not say when it expires, an hour from `now`."""
    header: dict[str, Json] = {"alg": _ALGORITHM, "kid": KEY_ID, "typ": "JWT"}
    said: dict[str, Json] = {"exp": int((now + LIFETIME).timestamp()), **claims}
    signed = f"{_part(dumps(header))}.{_part(dumps(said))}"
    return f"{signed}.{_part(_key().sign(signed.encode('ascii')))}"


def assumed_keys(claims: Mapping[str, Json]) -> KeySet:
    """The keys of whoever issued the assumed token."""
    issuer = claims.get("iss")
    key = SigningKey(KEY_ID, (_ALGORITHM,), _key().public_key())
    return KeySet(issuer if isinstance(issuer, str) else "", (key,))


def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(KEY_ID.encode("ascii")).digest())


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
