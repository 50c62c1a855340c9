"""What never enters a record as it came: argument values, session ids, secrets in URLs, text without a bound.

Pure. A digest is HMAC-SHA256 under a key that does not lie in the store, so that whoever reads the records cannot look
short values up in a table; the same value gives the same digest for as long as the key is the same.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

TEXT = 256  # characters of a name or an id that a caller chose
LONG_TEXT = 1024  # characters of a sentence or a URI
_KEY = 16  # bytes, the shortest key that is worth the name
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is recorded of a value that is not: `digest` as `hmac-sha256:<hex>`, and its `size` in bytes."""

    digest: str
    size: int


class Digester:
    """Makes fingerprints under one key of at least 16 bytes."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY:
            raise ValueError(f"a digest key needs at least {_KEY} bytes")
        self._keyed = hmac.new(key, digestmod="sha256")

    def fingerprint(self, value: bytes) -> Fingerprint:
        """The fingerprint of exactly these bytes (RFC 2104)."""
        keyed = self._keyed.copy()
        keyed.update(value)
        return Fingerprint(f"hmac-sha256:{keyed.hexdigest()}", len(value))

    def text(self, value: str) -> str:
        """The digest of a text; of the empty one, the empty string."""
        return self.fingerprint(value.encode("utf-8", "surrogatepass")).digest if value else ""

    def arguments(self, arguments: Mapping[str, Json]) -> Fingerprint:
        """The fingerprint of a call's arguments, over their canonical JSON."""
        return self.fingerprint(canonical_arguments(arguments))


def canonical_arguments(arguments: Mapping[str, Json]) -> bytes:
    """Arguments as UTF-8 JSON without white space, keys sorted by code point, integers exact, floats shortest.

    That is RFC 8785 save for the layout of floats (Python's), and it does not depend on how a client spaced or ordered
    what it sent.
    """
    return _ENCODER.encode(arguments).encode("utf-8", "surrogatepass")


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
