"""What a token comes to in a policy: the variables that elements put it into, and what expressions read of them.

Only a token that was verified becomes a Jwt. None of these prints: what they hold is the caller's, or as good as a key.
Refuses to know how a token is verified, and how an expression is written.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.decision import Reason
    from mcpgov.models import Json


@frozen
class Jwt:
    """A token that was verified: its header and its claims (RFC 7519)."""

    header: Mapping[str, Json] = field(repr=False)
    claims: Mapping[str, Json] = field(repr=False)

    def text(self, claim: str) -> str:
        """A claim as text; the empty string where it is absent or is none."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) else ""

    @property
    def algorithm(self) -> str:
        """How it is signed."""
        return str(self.header.get("alg", ""))

    @property
    def kind(self) -> str:
        """What its header says that it is."""
        return str(self.header.get("typ", ""))

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom it is for: `aud` is one text or a list of texts."""
        return self.lists.get("aud", ())

    @property
    def lists(self) -> Mapping[str, tuple[str, ...]]:
        """Every claim as a list of texts, which is how API Management has them."""
        return {name: tuple(_texts(value)) for name, value in self.claims.items() if value is not None}

    @property
    def mapping(self) -> dict[str, object]:
        """The same for CEL."""
        return {
            "id": self.text("jti"),
            "issuer": self.text("iss"),
            "subject": self.text("sub"),
            "audiences": list(self.audiences),
            "algorithm": self.algorithm,
            "type": self.kind,
            "claims": dict(self.claims),
        }


@frozen
class Checked:
    """What came of a token: why it was refused, or what it says. `text` is never shown."""

    text: str = field(repr=False)
    refused: Reason | None = None
    jwt: Jwt | None = None
    absent: bool = False  # a claim that is required is not there at all


@frozen
class Authorization:
    """A token that mcpgov has for a caller at somebody else's (API Management's Authorization)."""

    access_token: str = field(repr=False)

    @property
    def mapping(self) -> dict[str, object]:
        """The same for CEL."""
        return {"access_token": self.access_token, "claims": {}}


def _texts(value: Json) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        yield item if isinstance(item, str) else json.dumps(item, separators=(",", ":"))
