"""Cuts an expression into words, numbers, operators and text, as C# 7 does.

Text is "…", @"…", $"…" with holes in it, and as a superset '…' of any length, which counts as text. Comments are
dropped. A named value {{name}} inside text becomes a part of it, and stays secret where it is; elsewhere it is read as
if its value stood there. Each token keeps its place. Refuses to know what the words mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.csharp.typed_code import MAX_DEPTH, SPLIT, TOO_DEEP

if TYPE_CHECKING:
    from collections.abc import Callable

    Named = Callable[[str], str | Secret | None]

MAX_TEXT: Final = 16 * 1024
_SPACE: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NAME: Final = re.compile(r"[^\W\d]\w*")
_NUMBER: Final = re.compile(
    r"0[xX][0-9a-fA-F]+[lL]?|[0-9]+[lL]|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[dDfFmM]?"
)
_OPERATOR: Final = re.compile(r"\?\.(?!\d)|\?\[|\?\?|=>|\+\+|--|[-+*/%]=|[=!<>]=|&&|\|\||[-+*/%!<>=?:.,;(){}\[\]&|^~]")
_QUOTE: Final = re.compile(r"""(?P<sigil>\$@|@\$|[@$])?(?P<quote>")|(?P<single>')""")
_PLAIN: Final = re.compile(r"""[^"'\\{}]+""")
_NAMED: Final = re.compile(r"\{\{([A-Za-z0-9._-]{1,256})\}\}")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{1,4})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"} | {
    each: each for each in "\\\"'"
}
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE: Final = re.compile("[\ud800-\udfff]")
NAME: Final = "name"
NUMBER: Final = "number"
TEXT: Final = "text"
OPERATOR: Final = "operator"
END: Final = "end"
_SORTS: Final = ((NAME, _NAME), (NUMBER, _NUMBER), (OPERATOR, _OPERATOR))


@frozen
class Token:
    """One token: its sort, what it says, and the character where it begins. `parts` are those of a text."""

    sort: str
    text: str
    at: int
    parts: tuple[str | Secret | tuple[Token, ...], ...] = ()
    single: bool = False  # text in '…'


class Lexer:
    """Reads one text. `fixed` is the place of every token where the text is the value of a named value."""

    def __init__(self, text: str, named: Named, fixed: int | None = None) -> None:
        self._text = text
        self._named = named
        self._fixed = fixed
        self._at = 0
        self._depth = 0
        self._left = MAX_TEXT  # so many characters may come from named values

    def tokens(self, *, hole: bool = False) -> list[Token]:
        """All of them and END; in a hole, those up to its }. Raises InvalidExpression."""
        found: list[Token] = []
        open_braces = 0
        begin = self._place()
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at == len(self._text):
                if hole:
                    raise InvalidExpression('a { in $"…" is not closed', "write {{ for a brace", begin)
                return [*found, Token(END, "", self._place())]
            more = self._next()
            if hole and more and more[0].sort == OPERATOR:
                open_braces += (more[0].text == "{") - (more[0].text == "}")
                if open_braces < 0:
                    return [*found, Token(END, "", more[0].at)]
            found += more

    def _place(self) -> int:
        return self._at if self._fixed is None else self._fixed

    def _next(self) -> list[Token]:
        begin = self._place()
        if self._text.startswith("/*", self._at):
            raise InvalidExpression("the comment is not closed", "end it with */", begin)
        if quote := _QUOTE.match(self._text, self._at):
            return [self._string(quote, begin)]
        if named := self._named_here():
            return self._expanded(named, begin)
        for sort, pattern in _SORTS:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return [Token(sort, found[0], begin)]
        raise InvalidExpression(f"{self._text[self._at]!r} means nothing here", "", begin)

    def _named_here(self) -> re.Match[str] | None:
        return _NAMED.match(self._text, self._at) if self._fixed is None else None

    def _expanded(self, named: re.Match[str], begin: int) -> list[Token]:
        value = self._value(named)
        if isinstance(value, Secret):
            raise InvalidExpression(f"the named value {named[1]} is a secret", "write it inside a string", begin)
        return Lexer(value, self._named, begin).tokens()[:-1]

    def _value(self, named: re.Match[str]) -> str | Secret:
        value = self._named(named[1])
        if value is None:
            mend = "add it to named_values in mcpgov.yaml"
            raise InvalidExpression(f"there is no named value {named[1]}", mend, self._place())
        self._at = named.end()
        self._left -= len(value) if isinstance(value, str) else 0
        if self._left < 0:
            raise InvalidExpression("the named values in it are too long", SPLIT, self._place())
        return value

    def _string(self, quote: re.Match[str], begin: int) -> Token:
        sigil, end = quote["sigil"] or "", quote["quote"] or quote["single"]
        parts: list[str | Secret | tuple[Token, ...]] = []
        self._at = quote.end()
        while True:
            plain = _PLAIN.match(self._text, self._at)
            if plain:
                parts.append(plain[0])
                self._at = plain.end()
            if self._at == len(self._text):
                raise InvalidExpression("the string is not closed", f"end it with {end}", begin)
            piece = self._piece(end, sigil)
            if piece is None:
                return Token(TEXT, "", begin, _merged(parts, begin), single=quote["single"] is not None)
            parts.append(piece)

    def _piece(self, end: str, sigil: str) -> str | Secret | tuple[Token, ...] | None:
        """What begins with a character that may mean something; None for the end of the string."""
        character = self._text[self._at]
        if character == end and not ("@" in sigil and self._text.startswith(end * 2, self._at)):
            self._at += 1
            return None
        if character == "\\" and "@" not in sigil:
            return self._escaped()
        if named := self._named_here():
            return self._value(named)
        if "$" in sigil and character in "{}":
            return self._brace(character)
        self._at += 1 + (character == end)  # a doubled quote is one
        return character

    def _escaped(self) -> str:
        found = _ESCAPE.match(self._text, self._at)
        code = found and (found[1] or found[2] or found[3])
        if found is None or (code and int(code, 16) > 0x10FFFF) or (not code and found[4] not in _ESCAPED):
            raise InvalidExpression("this escape is not known", 'write \\\\ for a \\, or use @"…"', self._place())
        self._at = found.end()
        return chr(int(code, 16)) if code else _ESCAPED[found[4]]

    def _brace(self, brace: str) -> str | tuple[Token, ...]:
        if self._text.startswith(brace * 2, self._at):
            self._at += 2
            return brace
        if brace == "}":
            raise InvalidExpression('a } alone in $"…"', "write }}", self._place())
        if self._depth == MAX_DEPTH:
            raise InvalidExpression(TOO_DEEP, SPLIT, self._place())
        self._at += 1
        self._depth += 1
        tokens = tuple(self.tokens(hole=True))
        self._depth -= 1
        return tokens


def _merged(parts: list[str | Secret | tuple[Token, ...]], begin: int) -> tuple[str | Secret | tuple[Token, ...], ...]:
    """Neighbouring text in one piece; two halves of a character, written as escapes, become it."""
    merged: list[str | Secret | tuple[Token, ...]] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(last := merged[-1], str):
            merged[-1] = last + part
        else:
            merged.append(part)
    for number, part in enumerate(merged):
        if isinstance(part, str):
            merged[number] = whole = _PAIR.sub(_joined, part)
            if _LONE.search(whole):
                raise InvalidExpression("half a character stands in the string", "write both \\u escapes", begin)
    return tuple(merged)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
