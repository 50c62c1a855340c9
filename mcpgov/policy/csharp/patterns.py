"""Regular expressions: RE2, which takes linear time whatever the pattern (no look-around, no back-references)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import re2

from mcpgov.policy.csharp.typed_code import MAX_STRING
from mcpgov.policy.patterns import Work

_MEMORY: Final = 1024 * 1024  # bytes that one pattern may take
_GROUP: Final = re.compile(r"\$(?:\$|([0-9]{1,2})|\{([0-9]{1,2}|[A-Za-z]\w*)\}|)")
_SPECIAL: Final = re.compile(r"[\\*+?|{}\[\]()^$.# ]")
_NOT_LINEAR: Final = "the pattern is none that takes linear time (RE2)"


def _compiled(pattern: str) -> Any:
    """A pattern, ready to use. Raises ValueError."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    named = pattern.replace("(?<", "(?P<") if "(?<=" not in pattern and "(?<!" not in pattern else pattern
    try:
        return cast("Any", re2).compile(named, options)
    except re2.error:
        raise ValueError(_NOT_LINEAR) from None


def check_pattern(literals: Sequence[str | None]) -> str:
    """A check of the second argument. Raises ValueError."""
    if literals[1] is not None:
        _compiled(literals[1])
    return ""


def is_match(text: str, pattern: str) -> bool:
    """Whether the pattern is found in the text. Raises ValueError."""
    return _compiled(pattern).search(text) is not None


def replaced(text: str, pattern: str, replacement: str) -> str:
    """The text with every match replaced; $1, ${name} and $$ stand for what they do in .NET. Raises ValueError."""
    parts: list[str] = []
    length = at = 0
    work, engine = Work(), _compiled(pattern)
    for match in engine.finditer(text):
        parts += [text[at : match.start()], _expanded(replacement, match)]
        at = match.end()
        work.spend(len(text) - at, engine.programsize)
        length += len(parts[-1]) + len(parts[-2])
        if length > MAX_STRING:
            raise ValueError("too long")
    return "".join([*parts, text[at:]])


def escaped_pattern(text: str) -> str:
    """A pattern that finds the text itself."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _expanded(replacement: str, match: Any) -> str:
    """What replaces a match. A group that the pattern does not have is left as it is written."""

    def group(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        key: str | int = int(name) if name.isdecimal() else name
        known = key <= match.re.groups if isinstance(key, int) else key in match.re.groupindex
        return (match.group(key) or "") if known else found[0]

    return _GROUP.sub(group, replacement)
