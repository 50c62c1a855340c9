"""Text for people and for `--json`, without the secrets that policies drew in.

A secret is replaced wherever it stands, also where it was quoted or written as part of a URL. One that is too short for
that would blot out innocent letters, and tell by where it does which they are: a whole value that holds it is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.models import Secret

HIDDEN: Final = "***"
SHORTEST: Final = 4  # characters that a secret has at least to be replaced inside of text


@frozen
class Hiding:
    """What is not shown: `long` inside of any text, the longest first; `short` with the whole value that it is in."""

    long: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[Secret]) -> Hiding:
        """Hides these, in every way that they may be written."""
        known = {secret.reveal() for secret in secrets}
        long = {form for value in known if len(value) >= SHORTEST for form in _forms(value)}
        short = {value for value in known if 0 < len(value) < SHORTEST}
        return cls(tuple(sorted(long, key=lambda form: (-len(form), form))), tuple(sorted(short)))

    def text(self, text: str) -> str:
        """Text of our own and of a policy's author, in which a value may have come to stand."""
        for form in self.long:
            text = text.replace(form, HIDDEN)
        return text

    def value(self, value: str) -> str:
        """A value that was made for a request."""
        return HIDDEN if any(short in value for short in self.short) else self.text(value)


def _forms(value: str) -> tuple[str, ...]:
    """A text as it is, as Python and JSON write it between quotes, and as a URL has it."""
    escaped = "'".join(repr(f'"{part}')[2:-1] for part in value.split("'"))  # the other quote lets ' and " stand
    return (value, escaped, escaped.replace("'", "\\'"), json.dumps(value)[1:-1], quote(value, safe=""))
