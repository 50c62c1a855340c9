"""Text that somebody else chose, as a terminal may have it: nothing invisible, nothing that acts, no secret.

A record or a name must not move the cursor, rename a window or hide a part of itself; a message that repeats what was
typed must not repeat a gateway key.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from mcpgov.identity.api_key import ID_LENGTH, PREFIX

if TYPE_CHECKING:
    from mcpgov.models import Json


def printable(value: Json) -> str:
    """A value as text that cannot do anything to a terminal: what is no visible character is written out."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if unicodedata.category(char)[0] not in "CZ" or char == " " else escaped(char) for char in text)


def escaped(char: str) -> str:
    """A character as Python would write it."""
    return char.encode("unicode_escape").decode()


def plural(count: int, thing: str) -> str:
    """So many of a thing, in words."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def repeated(argument: str) -> str:
    """What was typed, for a message: printable, and of a gateway key no more than its id."""
    before, prefix, key = argument.partition(PREFIX)
    return printable(before + prefix + (key if len(key) <= ID_LENGTH else f"{key[:ID_LENGTH]}…"))
