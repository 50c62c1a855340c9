"""The two ways to write a policy: YAML, whose expressions are CEL, and API Management's XML with its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.cel import compile_cel
from mcpgov.policy.csharp.program import compile_csharp, is_expression
from mcpgov.policy.expression import Constant, Template, Typed
from mcpgov.policy.template import compile_template

if TYPE_CHECKING:
    from mcpgov.policy.expression import Program, References

_WHOLE: Final = re.compile(r"\s*\$\{\{(?P<cel>(?:(?!\}\}).)*)\}\}\s*", re.DOTALL)
_NAMED: Final = re.compile(r"\{\{([A-Za-z0-9._-]{1,256})\}\}")
_OF_YAML: Final = re.compile(r"\$\{\{|\$\{(?:env|file|secret):")
_INSIDE: Final = re.compile(r"@[({]")
_TRUTHS: Final = {"true": True, "false": False}


@frozen
class Yaml:
    """Conditions and keys are CEL; elsewhere text is literal unless it is written `${{ CEL }}`."""

    references: References
    xml: bool = False

    def condition(self, text: str, /) -> Program:
        """CEL that is true or false. Raises InvalidExpression."""
        return compile_cel(text, "bool")

    def key(self, text: str, /) -> Template:
        """CEL that is text. Raises InvalidExpression."""
        return Template((compile_cel(text, "string"),))

    def template(self, text: str, /) -> Template:
        """Text with `${{ CEL }}`, named values and references in it. Raises InvalidExpression."""
        return compile_template(text, self.references)

    def typed(self, text: str, /) -> Typed:
        """Text, or `${{ CEL }}` alone, which keeps its type. Raises InvalidExpression."""
        whole = _WHOLE.fullmatch(text)
        return Typed(compile_cel(whole["cel"].strip(), "any") if whole else self.template(text))

    def number(self, text: str, /) -> Program | None:
        """`${{ CEL }}`, or None. Raises InvalidExpression."""
        whole = _WHOLE.fullmatch(text)
        return compile_cel(whole["cel"].strip(), "int") if whole else None

    def literal(self, text: str, /) -> str:
        """Plain text with named values in it. Raises InvalidExpression."""
        return _plain(text, self.references)

    def remarks(self, _text: str, /) -> tuple[str, ...]:
        """Nothing: API Management reads no YAML."""
        return ()


@frozen
class Xml:
    """Whatever begins with `@(` or `@{` is an expression, everything else literal."""

    references: References
    xml: bool = True

    def condition(self, text: str, /) -> Program:
        """An expression that is true or false, or one of these words. Raises InvalidExpression."""
        if is_expression(text):
            program = compile_csharp(text, self.references.named)
            if program.kind not in ("bool", "object"):
                raise InvalidExpression(f"the expression is {program.kind}, and must be bool")
            return program
        if text.strip().lower() not in _TRUTHS:
            raise InvalidExpression("this is neither true nor false", 'write "@( … )", true or false')
        return Constant(_TRUTHS[text.strip().lower()])

    def key(self, text: str, /) -> Template:
        """Text. Raises InvalidExpression."""
        return self.template(text)

    def template(self, text: str, /) -> Template:
        """One expression, or literal text with named values in it. Raises InvalidExpression."""
        if is_expression(text):
            return Template((compile_csharp(text, self.references.named),))
        if found := _OF_YAML.search(text):
            mend = "in XML an expression is @( … ), and a secret a named value: {{name}}"
            raise InvalidExpression(f"{found[0]} … }} is not read here", mend, found.start())
        return Template(tuple(_with_names(text, self.references)))

    def typed(self, text: str, /) -> Typed:
        """One expression, which keeps its type, or literal text. Raises InvalidExpression."""
        if is_expression(text):
            return Typed(compile_csharp(text, self.references.named))
        return Typed(self.template(text))

    def number(self, text: str, /) -> Program | None:
        """One expression, or None. Raises InvalidExpression."""
        return compile_csharp(text, self.references.named) if is_expression(text) else None

    def literal(self, text: str, /) -> str:
        """Plain text with named values in it. Raises InvalidExpression."""
        return _plain(text, self.references)

    def remarks(self, text: str, /) -> tuple[str, ...]:
        """What API Management would do otherwise with an expression, and what looks like one and is none."""
        if is_expression(text):
            return compile_csharp(text, self.references.named).notes
        return ("@( stands inside text, where it is no expression",) if _INSIDE.search(text) else ()


def _with_names(text: str, references: References) -> list[str | Secret]:
    """The text in pieces, each named value as what it stands for. Raises InvalidExpression."""
    parts: list[str | Secret] = []
    for number, piece in enumerate(_NAMED.split(text)):
        if number % 2 == 0:
            parts += [piece] if piece else []
            continue
        value = references.named(piece)
        if value is None:
            raise InvalidExpression(f"there is no named value {piece}", "add it to named_values in mcpgov.yaml")
        parts.append(value)
    return parts


def _plain(text: str, references: References) -> str:
    """The text with named values put in. Raises InvalidExpression for a secret: it would be told, and compared."""
    parts = _with_names(text, references)
    if any(isinstance(part, Secret) for part in parts):
        raise InvalidExpression(
            "a secret cannot stand here", "it would be told, or kept as it is; name a value that is none"
        )
    return "".join(map(str, parts))
