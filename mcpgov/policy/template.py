"""Text of YAML documents: literal, with `${{ CEL }}`, `{{named values}}` and `${env:NAME}` references in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidExpression
from mcpgov.policy.cel import compile_cel, refuse_csharp
from mcpgov.policy.expression import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.models import Secret
    from mcpgov.policy.expression import Program, References

_PART: Final = re.compile(
    r"(?P<escaped>\$\$\{)"
    r"|\$\{\{(?P<cel>.*?)\}\}"
    r"|(?P<reference>\$\{[A-Za-z]+:[^{}]*\})"
    r"|\{\{(?P<named>[A-Za-z0-9._-]{1,256})\}\}"
    r"|(?P<open>\$\{(?:\{|[A-Za-z]+:))",
    re.DOTALL,
)


def compile_template(text: str, references: References) -> Template:
    """Text in which `${{ CEL }}`, `{{named}}` and `${env:…}` stand for values; `$${` is a plain `${`.

    An expression ends at the first `}}`. Raises InvalidExpression.
    """
    refuse_csharp(text)
    return Template(tuple(part for part in _parts(text, references) if part != ""))


def _parts(text: str, references: References) -> Iterator[str | Secret | Program]:
    end = 0
    for found in _PART.finditer(text):
        yield text[end : found.start()]
        end = found.end()
        match found.lastgroup:
            case "cel":
                yield compile_cel(found["cel"].strip(), "scalar")
            case "named":
                yield _named(found["named"], references)
            case "reference":
                yield _resolved(found["reference"], references)
            case "escaped":
                yield "${"
            case _:
                raise InvalidExpression(f"{found[0]} is not closed", f"end it with {'}' * found[0].count('{')}")
    yield text[end:]


def _named(name: str, references: References) -> str | Secret:
    value = references.named(name)
    if value is None:
        raise InvalidExpression(f"there is no named value {name}", "add it to named_values in mcpgov.yaml")
    return value


def _resolved(reference: str, references: References) -> Secret:
    try:
        return references.resolve(reference)
    except ValueError as error:
        raise InvalidExpression(str(error)) from None
