"""Which words a record can be found by. Pure, and known without the library of the statements: a purge needs it too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcpgov.audit.reader import Record

# What stands in front of every digest: as words, they would be those of every call.
LABEL: Final = re.compile("hmac-sha256:[0-9a-f]{8}:")
# Fields of a record that nobody searches by their words.
WORDLESS: Final = frozenset(
    {"v", "event", "ts", "mcpgov.snapshot", "mcpgov.session.digest", "mcpgov.decision.answers"}
    | {"mcpgov.decision.policy_hash"}
)


def searchable(text: str) -> str:
    """Text as its words are kept and looked for: of a digest only what tells it from others."""
    return LABEL.sub("", text)


def words_of(fields: Record) -> str:
    """What a record can be found by: every text in it that somebody would type."""
    found: list[str] = []
    for name, value in fields.items():
        if name not in WORDLESS:
            found += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    return searchable(" ".join(found))
