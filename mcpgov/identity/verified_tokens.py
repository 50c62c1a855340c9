"""Tokens whose signature was found good, so that it is checked once and not at every call.

Kept by the SHA-256 of their text, with the claims and the very keys that the signature was checked against; never the
token itself. What is known by this saves the one dear step and decides nothing: claims, times and audience are looked
at for every call, and a token is checked anew once its issuer's keys were fetched anew. What does not hold is not kept,
so a stranger cannot fill it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcpgov.json_web_token import KeySet, Token

MOST: Final = 2000  # of one issuer; the one that was used longest ago makes room


class VerifiedTokens:
    """Those of one issuer."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, tuple[Token, KeySet]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, text: str) -> tuple[Token, KeySet] | None:
        """What the token says, without its signature, and the keys it was checked against; None for an unknown one."""
        digest = _digest(text)
        found = self._known.get(digest)
        if found is not None:
            self._known.move_to_end(digest)
        return found

    def keep(self, text: str, token: Token, keys: KeySet) -> None:
        """Note that the signature of a token is good by these keys."""
        digest = _digest(text)
        self._known[digest] = (replace(token, signing_input=b"", signature=b""), keys)
        self._known.move_to_end(digest)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, text: str) -> None:
        """Keep a token no longer, such as one that has expired."""
        self._known.pop(_digest(text), None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
