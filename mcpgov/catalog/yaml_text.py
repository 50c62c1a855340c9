"""Writes a value as YAML that a person likes to read, and that reads back as that value. Pure.

Rules: whatever another reader of YAML could take for something else than text is put in quotes (`no`, `1.0`, `0755`,
`~`), and what is no visible character is written as an escape, so that neither a terminal nor an editor is led astray
by a name that somebody else chose. Refuses to know: what the value is for, and whether it may be read.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.models import Json

WIDEST: Final = 100  # characters of a list that is written in one line
_PLAIN: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./@+-]| (?=[A-Za-z0-9]))*|[0-9]+\.[0-9]+\.[0-9][0-9A-Za-z.+-]*")
_SENTENCE: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_./@+,()'-]| (?=[A-Za-z0-9(]))*")
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~/?=&%+:-]*[A-Za-z0-9_~/=]")
# YAML 1.1, which many readers still follow, has more words for true, false and nothing.
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml_text(value: Mapping[str, Json], comments: Iterable[str] = ()) -> str:
    """A mapping with something in it as a document, `comments` above it, one a line."""
    head = (f"# {_visible(' '.join(comment.split()))}".rstrip() for comment in comments)
    return "\n".join((*head, *_mapping(value, ""))) + "\n"


def scalar(text: str, *, alone: bool = True) -> str:
    """A text as YAML; without `alone` it is an item of a list in one line, or a key."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    if plain or (alone and text.lower() not in _WORDS and (_URL.fullmatch(text) or _SENTENCE.fullmatch(text))):
        return text
    return _visible(json.dumps(text, ensure_ascii=False))


def _visible(text: str) -> str:
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _mapping(value: Mapping[str, Json], indent: str) -> Iterator[str]:
    for key, inner in value.items():
        yield from _item(f"{indent}{scalar(key, alone=False)}:", inner, f"{indent}  ")


def _item(before: str, value: Json, indent: str) -> Iterator[str]:
    """A value behind `before`, or below it."""
    if isinstance(value, dict) and value:
        yield before
        yield from _mapping(value, indent)
    elif isinstance(value, list) and value:
        line = f"{before} [{', '.join(_inline(item) for item in value)}]"
        if len(line) <= WIDEST and not any(isinstance(item, list | dict) for item in value):
            yield line
        else:
            yield before
            for item in value:
                yield from _listed(item, indent)
    else:
        yield f"{before} {_inline(value, alone=True)}"


def _listed(value: Json, indent: str) -> Iterator[str]:
    """An item of a list, its first line behind the dash."""
    if isinstance(value, dict) and value:
        first, *rest = _mapping(value, f"{indent}  ")
        yield f"{indent}- {first.lstrip(' ')}"
        yield from rest
    elif isinstance(value, list) and value:
        yield f"{indent}-"
        for item in value:
            yield from _listed(item, f"{indent}  ")
    else:
        yield f"{indent}- {_inline(value, alone=True)}"


def _inline(value: Json, *, alone: bool = False) -> str:
    """What fits in a line: a scalar, or an empty list or mapping."""
    if isinstance(value, str):
        return scalar(value, alone=alone)
    return json.dumps(value)
