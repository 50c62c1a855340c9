"""Regular expressions in linear time: RE2, which has no backtracking to run away with.

Decides which patterns are taken: those of RE2 whose compiled program stays small, because time grows with it too. What
needs backtracking (a back-reference, a look-around) is refused when the document is loaded, with a mend. A pattern
tells upper from lower case unless it begins with `(?i)`. One search is linear, but each of many may look at all the
text that is left (`a(.*b)?` in a text without b): replacing has a budget. Refuses to know what a match means.
Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import re2

from mcpgov.errors import InvalidExpression
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PROGRAM: Final = 2_000  # instructions
MAX_WORK: Final = 128 * 1024 * 1024  # characters that the searches after a match may look at
_LARGE_PROGRAM: Final = 128  # instructions; a larger one may take that much longer for each character
_MAX_MEMORY: Final = 2 * 1024 * 1024  # bytes, for one pattern and the states that it remembers
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MENDS: Final = (  # what of Python's, .NET's or PCRE's syntax is not RE2's, and what to write instead
    (re.compile(r"\(\?<?[=!]"), "RE2 has no look-around: match the text itself, or use two patterns"),
    (re.compile(r"\\[1-9gk]|\(\?P$"), "RE2 has no back-references: write the part once more"),
    (re.compile(r"\(\?>|[*+?}]\+"), "RE2 needs no atomic groups and no possessive quantifiers: leave them out"),
    (re.compile(r"\(\?[#x]"), "RE2 has no comments inside a pattern: leave them out"),
    (re.compile(r"\\Z"), r"the end of the text is \z"),
    (
        re.compile(r"repetition size"),
        "repeat at most 1000 times, counting a repetition inside another as their product",
    ),
    (re.compile(r"too large"), "make it shorter, or its repetitions smaller"),
)


class _Span(Protocol):
    def start(self) -> int: ...

    def end(self) -> int: ...


class _Engine(Protocol):
    @property
    def programsize(self) -> int: ...

    def search(self, text: str) -> _Span | None: ...

    def finditer(self, text: str) -> Iterator[_Span]: ...


class TooMuchWork(ValueError):
    """Replacing every match could take too long."""


@dataclass(slots=True)
class Work:
    """What is left of a budget that several replacements may share. Not frozen."""

    left: int = MAX_WORK

    def spend(self, rest: int, program: int) -> None:
        """Take off a search through `rest` characters by `program` instructions. Raises TooMuchWork."""
        self.left -= rest * (1 + program // _LARGE_PROGRAM)
        if self.left < 0:
            raise TooMuchWork("there are too many matches in too long a text")


@frozen
class Pattern:
    """A compiled regular expression; `text` is how it was written."""

    text: str
    _engine: _Engine

    def search(self, text: str) -> bool:
        """Whether it matches anywhere in `text`. Time: linear in `text`."""
        return self._engine.search(_encodable(text)) is not None

    def replaced(self, text: str, replacement: str, work: Work) -> str:
        """`text` with every match replaced by `replacement`, in which nothing has a special meaning.

        Time: one pass over `text`, and what `work` allows. Raises TooMuchWork.
        """
        pieces: list[str] = []
        end = 0
        for match in self._engine.finditer(_encodable(text)):
            pieces += (text[end : match.start()], replacement)
            end = match.end()
            work.spend(len(text) - end, self._engine.programsize)
        return "".join([*pieces, text[end:]])


def compile_pattern(text: str) -> Pattern:
    """A pattern from RE2's syntax. Raises InvalidExpression."""
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False  # to standard error, by the engine itself
    try:
        engine: _Engine = re2.compile(text, options)
    except UnicodeEncodeError:
        raise InvalidExpression("not a regular expression: it has a lone surrogate in it", "remove it") from None
    except re2.error as error:
        raise _explained(error.args[0].decode("utf-8", "replace")) from None
    if engine.programsize > MAX_PROGRAM:
        raise _explained("pattern too large")
    return Pattern(text, engine)


def _encodable(text: str) -> str:
    """`text`, as long as before, with something that UTF-8 can carry for every lone surrogate."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _explained(what: str) -> InvalidExpression:
    mend = next((mend for sign, mend in _MENDS if sign.search(what)), "")
    return InvalidExpression(f"not a regular expression: {what}", mend)
