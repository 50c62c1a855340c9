"""Values that are written down: numbers, text (with expressions and secrets in it), arrays of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.models import Secret
from mcpgov.policy.csharp.kinds import (
    BOOL,
    DOUBLE,
    INT,
    LARGEST,
    LARGEST_INT,
    LONG,
    NULL,
    STRING,
    STRINGS,
    Type,
    is_printed,
    may_be,
    text_of,
)
from mcpgov.policy.csharp.typed_code import MAX_STRING, Code, made

if TYPE_CHECKING:
    from mcpgov.policy.csharp.tokens import Token
    from mcpgov.policy.csharp.typed_code import Run

_LONGEST_NUMBER: Final = 400
_WORDS: Final[Mapping[str, tuple[Type, object]]] = {"true": (BOOL, True), "false": (BOOL, False), "null": (NULL, None)}


def word(token: Token) -> Code | None:
    """true, false or null; None for any other word."""
    if token.text not in _WORDS:
        return None
    kind, value = _WORDS[token.text]
    return Code(kind, token.at, lambda _run: value)


def number(token: Token) -> Code:
    """A number as it is written. Raises InvalidExpression where 64 bits do not hold it."""
    text = token.text.lower()
    hexadecimal = text.startswith("0x")
    is_double = not hexadecimal and not text.rstrip("l").isdecimal()
    value: float = math.inf
    if len(text) <= _LONGEST_NUMBER:
        value = float(text.rstrip("dfm")) if is_double else int(text.rstrip("l"), 16 if hexadecimal else 10)
    if value == math.inf or (not is_double and value > LARGEST):
        raise InvalidExpression("the number is too large", "a whole number has 64 bits", token.at)
    kind = DOUBLE if is_double else LONG if text.endswith("l") or value > LARGEST_INT else INT
    return Code(kind, token.at, lambda _run: value)


def text(at: int, parts: Sequence[str | Secret | Code]) -> Code:
    """Text with expressions and secrets in it. Raises InvalidExpression where one has no text."""
    holes = [part for part in parts if isinstance(part, Code)]
    for hole in holes:
        if not is_printed(hole.type):
            raise InvalidExpression(f"{hole.type} has no text", "", hole.at)
    if all(isinstance(part, str) for part in parts):
        literal = "".join(map(str, parts))
        return Code(STRING, at, lambda _run: literal, literal=literal)

    def compute(run: Run) -> str:
        pieces: list[str] = []
        left = MAX_STRING
        for part in parts:
            pieces.append(_piece(run, part))
            left -= len(pieces[-1])
            if left < 0:
                raise ExpressionError(f"a text is longer than {MAX_STRING} characters")
        return "".join(pieces)

    return made(STRING, at, compute, holes)


def array(at: int, items: Sequence[Code]) -> Code:
    """new[] { … } of texts. Raises InvalidExpression where one is something else."""
    for item in items:
        if not may_be(item.type, STRING) or item.type == NULL:
            raise InvalidExpression(f"an array of texts cannot hold {item.type}", "", item.at)

    def compute(run: Run) -> tuple[str, ...]:
        values = [run.of(item) for item in items]
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) < len(values):
            raise ExpressionError("an array of texts is given something else")
        return texts

    return made(STRINGS, at, compute, items)


def _piece(run: Run, part: str | Secret | Code) -> str:
    if isinstance(part, Secret):
        return part.reveal()
    return part if isinstance(part, str) else text_of(run.of(part))
