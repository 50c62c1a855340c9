"""Tool names and the patterns that name them: exact code points, `*` for any run of characters, `?` for any one.

No case folding and no Unicode look-alikes: what is not in A-Z a-z 0-9 _ . - is no tool name. Matching a name of n
characters takes at most n steps for each character of the pattern; it cannot be made to backtrack.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_PATTERN: Final = re.compile(r"[A-Za-z0-9_.\-*?]{1,128}")


def is_tool_name(name: str) -> bool:
    """Whether `name` can be the name of a tool (MCP 2025-11-25, server/tools)."""
    return _NAME.fullmatch(name) is not None


@frozen
class ToolNames:
    """A set of tool names, given by names and patterns."""

    exact: frozenset[str]
    globs: tuple[re.Pattern[str], ...]

    def __contains__(self, name: str) -> bool:
        return name in self.exact or any(glob.fullmatch(name) for glob in self.globs)


def compile_names(patterns: Iterable[str]) -> ToolNames:
    """The tools that `patterns` name. Raises ValueError, with the pattern, for one that no tool name can match."""
    patterns = tuple(patterns)
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(pattern)
    return compile_wildcards(patterns)


def compile_wildcards(patterns: Iterable[str]) -> ToolNames:
    """The same for names of any characters: those of callers, projects and connections."""
    exact: set[str] = set()
    globs: list[re.Pattern[str]] = []
    for pattern in patterns:
        if "*" in pattern or "?" in pattern:
            globs.append(_compiled(pattern))
        else:
            exact.add(pattern)
    return ToolNames(frozenset(exact), tuple(globs))


def _compiled(pattern: str) -> re.Pattern[str]:
    """Between two stars the leftmost match is as good as any, so each is taken once and for all (an atomic group)."""
    first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last, re.DOTALL)
