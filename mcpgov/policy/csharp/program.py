"""The expressions of Azure API Management: `@( … )` and `@{ … return x; }`, a typed and bounded part of C# 7.

Nothing is handed to an interpreter: the text is cut into tokens (tokens), read into typed code (parser,
statements) and run on the draft of a request. What is not supported is refused by name when a document is
loaded, with the character where it stands. Bounded: 16 KiB of text, 64 levels, 10,000 steps, texts of 64 KiB.

Language: https://learn.microsoft.com/azure/api-management/api-management-policy-expressions
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.policy.csharp.kinds import ENUMERATIONS, NULL, TYPES, text_of
from mcpgov.policy.csharp.operators import truth
from mcpgov.policy.csharp.parser import Parser
from mcpgov.policy.csharp.statements import Body
from mcpgov.policy.csharp.tokens import MAX_TEXT, Lexer
from mcpgov.policy.csharp.typed_code import NO_VALUE, Code, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import Secret
    from mcpgov.policy.draft import Draft

_BEGINNINGS: Final = ("@(", "@{")
_REFERENCE: Final = re.compile("&(quot|amp|lt|gt|apos);")
_MEANT: Final = {"quot": '"', "amp": "&", "lt": "<", "gt": ">", "apos": "'"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_VALUES: Final = TYPES | ENUMERATIONS | {NULL.name}


@frozen
class CSharp:
    """A compiled expression. `kind` is its type in C#: object where only the request says. `notes` say what API
    Management would do otherwise. `holds_secret`: a named value that is one may be part of what it gives.
    """

    source: str
    kind: str
    notes: tuple[str, ...]
    holds_secret: bool
    _code: Code = field(repr=False)

    def truth(self, draft: Draft, /) -> bool:
        """Its value as the answer to a condition. Raises ExpressionError where it is neither true nor false."""
        return truth(self.value(draft))

    def text(self, draft: Draft, /) -> str:
        """Its value as C# makes text of it; null is empty. Raises ExpressionError."""
        return text_of(self.value(draft))

    def value(self, draft: Draft, /) -> object:
        """Its value, as kinds says. Raises ExpressionError."""
        try:
            return Run(draft, self.source).of(self._code)
        except (*NO_VALUE, RecursionError):  # its text could quote a value
            raise ExpressionError("an expression has no usable value for this request") from None


def is_expression(text: str) -> bool:
    """Whether a text is meant as an expression."""
    return text.lstrip().startswith(_BEGINNINGS)


def compile_csharp(text: str, named: Callable[[str], str | Secret | None]) -> CSharp:
    """An expression, ready to be run. `named` gives the named values {{name}}, None where there is none.

    Raises InvalidExpression; its offset counts from the start of `text`, &quot; and the like as one character.
    """
    source = text.strip()
    try:
        return _compiled(source, named)
    except InvalidExpression as invalid:
        before = len(text) - len(text.lstrip())
        raise InvalidExpression(invalid.message, invalid.mend, before + (invalid.offset or 0)) from None


def _compiled(source: str, named: Callable[[str], str | Secret | None]) -> CSharp:
    if not is_expression(source):
        raise InvalidExpression("not an expression", "it begins with @( or @{")
    if len(source) > MAX_TEXT:
        raise InvalidExpression(f"the expression is longer than {MAX_TEXT} characters", "split it", MAX_TEXT)
    if half := _SURROGATE.search(source):
        raise InvalidExpression("half a character stands in the expression", "write it in UTF-8", half.start())
    decoded = _REFERENCE.sub(lambda found: _MEANT[found[1]], source)
    parser = Parser(Lexer(" " + decoded[1:], named).tokens())
    if parser.accept("("):
        code = parser.expression()
        parser.expect(")")
    else:
        code = Body(parser).read()
    parser.end()
    if code.type.name not in _VALUES:
        raise InvalidExpression(
            f"the expression is a {code.type}, which is no value", "name one of its members", code.at
        )
    return CSharp(source, str(code.type), tuple(parser.notes), parser.holds_secret, code)
