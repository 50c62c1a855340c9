"""What never enters a record as it came: argument values, session ids, secrets in URLs, text without a bound.

Pure. A digest is HMAC-SHA256 under a key that does not lie in the store, so that whoever reads the records cannot look
short values up in a table; the same value gives the same digest for as long as the key is the same. A digest names its
key, so that after a change of keys it can still be told which one it was made with.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from urllib.parse import urlsplit

from mcpgov.frozen import frozen

TEXT = 256  # characters of a name or an id that a caller chose
LONG_TEXT = 1024  # characters of a sentence or a URI
_KEY = 16  # bytes, the shortest key that is worth the name
_KEY_ID = 8  # hexadecimal digits


@frozen
class Fingerprint:
    """What is recorded of a value that is not: `digest` as `hmac-sha256:<key id>:<hex>`, and its `size` in bytes."""

    digest: str
    size: int


def key_id(key: bytes) -> str:
    """What a digest says of its key: 8 hexadecimal digits, from which the key cannot be found."""
    return hashlib.sha256(b"mcpgov digest key\0" + key).hexdigest()[:_KEY_ID]


class Digester:
    """Makes fingerprints under one key of at least 16 bytes."""

    __slots__ = ("_keyed", "key_id")

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY:
            raise ValueError(f"a digest key needs at least {_KEY} bytes")
        self._keyed = hmac.new(key, digestmod="sha256")
        self.key_id = key_id(key)

    def fingerprint(self, value: bytes) -> Fingerprint:
        """The fingerprint of exactly these bytes (RFC 2104)."""
        keyed = self._keyed.copy()
        keyed.update(value)
        return Fingerprint(f"hmac-sha256:{self.key_id}:{keyed.hexdigest()}", len(value))

    def scalar(self, value: str | float | None) -> str:
        """The digest of a text, number, boolean or null, together with its kind: that of 1 is not that of "1"."""
        return self.fingerprint(typed(value)).digest

    def text(self, value: str) -> str:
        """The digest of a text; of the empty one, the empty string."""
        return self.scalar(value) if value else ""


def typed(value: str | float | None) -> bytes:
    """A scalar as it is digested: its kind, a zero byte, and its text. No JSON text begins so."""
    if isinstance(value, str):
        return b"text\0" + value.encode("utf-8", "surrogatepass")
    if value is None:
        return b"null\0"
    if isinstance(value, bool):
        return b"boolean\0true" if value else b"boolean\0false"
    return b"number\0" + number_text(value).encode()


def number_text(value: float) -> str:
    """A number as text: a whole one by its digits, however it was written (1.0 is 1); others as Python writes them."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value)


def clip(text: str, limit: int = TEXT) -> str:
    """`text` of at most `limit` characters, encodable, with a marker saying how many were cut."""
    if len(text) <= limit and text.isascii():
        return text
    if len(text) > limit:
        text = f"{text[:limit]}…[+{len(text) - limit}]"
    return encodable(text)


def encodable(text: str) -> str:
    """`text` with what UTF-8 cannot carry (lone surrogates) replaced by `?`: a record can always be written."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def origin(url: str) -> str:
    """Scheme, host and port of a URL: no user information, no path, no query, where tokens are kept."""
    parts = urlsplit(url)
    return clip(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def without_query(uri: str) -> str:
    """A resource URI without its query and fragment, where tokens are kept."""
    return clip(uri.partition("#")[0].partition("?")[0], LONG_TEXT)
