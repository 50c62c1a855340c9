"""What changed between two definitions of a tool, as a person can read it.

Pure. Member by member down to the single value, because what is said in a schema reaches a model as much as the
description does; of two texts, the words that differ with some around them. Nothing that was added is shortened: it is
there that an attack would stand. Everything is written as revealed.py writes it, so no escape reaches a terminal, and
where old and new look alike, every character that is none of ASCII is written out. Time is bounded: texts that differ
in more than MAX_TOKENS words are compared by lines, and then as a whole. Refuses to know who reads it, and in which
colours.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mcpgov.canonical_json import canonical
from mcpgov.frozen import frozen
from mcpgov.pinning.definitions import definition_text
from mcpgov.pinning.finding import path_text
from mcpgov.pinning.lookalikes import skeleton
from mcpgov.pinning.revealed import CLOSING, OPENING, quoted, revealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.models import Json
    from mcpgov.pinning.finding import Path

MAX_TOKENS: Final = 600  # words, lines or items of a list that are compared with each other
MORE: Final = "\u2026"
CONTEXT: Final = 40  # characters around what changed, at least
_FIRST: Final = ("name", "title", "description", "annotations", "inputSchema", "outputSchema")
_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")


class Change(StrEnum):
    """What became of a value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@frozen
class Difference:
    """One value that is not as it was: a scalar, or an object or list with nothing in it."""

    path: Path
    change: Change
    before: Json = None
    after: Json = None


@frozen
class Hunk:
    """A place in a text where `removed` stood and `added` stands, with the unchanged text `before` and `after` it."""

    before: str
    removed: str
    added: str
    after: str


def differences(before: Json, after: Json) -> tuple[Difference, ...]:
    """What changed from one definition to another; of one that is None, all of the other.

    Raises Refusal for a definition past the bounds, as definition_digest() does.
    """
    if before is None or after is None:
        one, change = (after, Change.ADDED) if before is None else (before, Change.REMOVED)
        definition_text(one)
        return tuple(_all(one, (), change))
    definition_text(before)
    definition_text(after)
    return tuple(_between(before, after, ()))


def diff_lines(found: Sequence[Difference]) -> Iterator[str]:
    """The differences as lines for a person: the path, below it `-` what was, `+` what is, the change in brackets."""
    for one in found:
        note = "" if one.change is Change.CHANGED else f" ({one.change})"
        yield f"{path_text(one.path)}{note}"
        yield from _value_lines(one)


def hunks(before: str, after: str) -> tuple[Hunk, ...]:
    """The places where two texts differ. Time: bounded by MAX_TOKENS, else linear."""
    for pattern in (_WORDS, _LINES):
        old, new = pattern.findall(before), pattern.findall(after)
        start, end = _same_ends(old, new)
        if _is_quick(len(old) - start - end, len(new) - start - end):
            return tuple(_hunks(old, new))
    return tuple(_hunks(_WORDS.findall(before), _WORDS.findall(after)))


def _between(before: Json, after: Json, path: Path) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys(), key=_order if not path else None):
            if key not in after:
                yield from _all(before[key], (*path, key), Change.REMOVED)
            elif key not in before:
                yield from _all(after[key], (*path, key), Change.ADDED)
            else:
                yield from _between(before[key], after[key], (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _between_lists(before, after, path)
    elif canonical(before) != canonical(after):
        if isinstance(before, dict | list) or isinstance(after, dict | list):
            yield from _all(before, path, Change.REMOVED)
            yield from _all(after, path, Change.ADDED)
        else:
            yield Difference(path, Change.CHANGED, before, after)


def _between_lists(before: list[Json], after: list[Json], path: Path) -> Iterator[Difference]:
    old, new = [canonical(item) for item in before], [canonical(item) for item in after]
    for tag, first, last, first_new, last_new in _opcodes(old, new):
        pairs = min(last - first, last_new - first_new) if tag == "replace" else 0
        for at in range(pairs):
            yield from _between(before[first + at], after[first_new + at], (*path, first_new + at))
        for at in range(first + pairs, last):
            yield from _all(before[at], (*path, at), Change.REMOVED)
        for at in range(first_new + pairs, last_new):
            yield from _all(after[at], (*path, at), Change.ADDED)


def _all(value: Json, path: Path, change: Change) -> Iterator[Difference]:
    """Every value in a value."""
    if isinstance(value, dict) and value:
        for key in sorted(value, key=_order if not path else None):
            yield from _all(value[key], (*path, key), change)
    elif isinstance(value, list) and value:
        for at, item in enumerate(value):
            yield from _all(item, (*path, at), change)
    elif change is Change.ADDED:
        yield Difference(path, change, after=value)
    else:
        yield Difference(path, change, before=value)


def _order(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)


def _value_lines(one: Difference) -> Iterator[str]:
    if isinstance(one.before, str) and isinstance(one.after, str):
        for hunk in hunks(one.before, one.after):
            fully = skeleton(hunk.removed) == skeleton(hunk.added)
            for sign, text in (("-", hunk.removed), ("+", hunk.added)):
                marked = f"{OPENING}{revealed(text, fully=fully)}{CLOSING}"
                yield f"  {sign} {_shortened(hunk.before, last=True)}{marked}{_shortened(hunk.after, last=False)}"
        return
    if one.change is not Change.ADDED:
        yield f"  - {_value(one.before)}"
    if one.change is not Change.REMOVED:
        yield f"  + {_value(one.after)}"


def _value(value: Json) -> str:
    return quoted(value) if isinstance(value, str) else canonical(value)


def _shortened(text: str, *, last: bool) -> str:
    """The unchanged text beside a change: its nearest part, from the border of a word on."""
    if len(text) <= 2 * CONTEXT:
        return revealed(text)
    near = text[-CONTEXT:] if last else text[:CONTEXT]
    return MORE + revealed(near) if last else revealed(near) + MORE


def _hunks(old: list[str], new: list[str]) -> Iterator[Hunk]:
    changed = list(_opcodes(old, new))
    for number, (_, first, last, first_new, last_new) in enumerate(changed):
        from_here = changed[number - 1][2] if number else 0
        to_here = changed[number + 1][1] if number + 1 < len(changed) else len(old)
        yield Hunk(
            "".join(old[from_here:first]),
            "".join(old[first:last]),
            "".join(new[first_new:last_new]),
            "".join(old[last:to_here]),
        )


def _same_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many items two lists have in common at their start, and at their end."""
    most = min(len(old), len(new))
    start = next((at for at in range(most) if old[at] != new[at]), most)
    left = most - start
    return start, next((at for at in range(left) if old[-1 - at] != new[-1 - at]), left)


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """What differs, as difflib says it; where that would take long, all between the ends that are the same."""
    start, end = _same_ends(old, new)
    middle, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if not _is_quick(len(middle), len(middle_new)):
        yield "replace", start, start + len(middle), start, start + len(middle_new)
        return
    for tag, first, last, first_new, last_new in SequenceMatcher(None, middle, middle_new).get_opcodes():
        if tag != "equal":
            yield tag, start + first, start + last, start + first_new, start + last_new


def _is_quick(old: int, new: int) -> bool:
    """Whether so many tokens may be compared with so many: the time can grow with the product."""
    return max(old, new) <= MAX_TOKENS or min(old, new) == 0
