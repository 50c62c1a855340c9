"""What an expression is, whichever language it is written in: checked when a document is loaded, evaluated without
side effects, bounded. CEL (cel.py) in YAML, the expressions of Azure API Management (csharp/) in XML.

Whatever goes wrong at run time is an ExpressionError, which denies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.models import Secret

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft

_DIGITS: Final = re.compile(r"\s*[0-9]{1,18}\s*")


class Program(Protocol):
    """A compiled expression. `source` is its text, for explanations; it shows no secret."""

    @property
    def source(self) -> str:
        """The text it was compiled from."""
        ...

    def truth(self, draft: Draft, /) -> bool:
        """Its value as the answer to a condition. Raises ExpressionError where it is neither true nor false."""
        ...

    def text(self, draft: Draft, /) -> str:
        """Its value as text. Raises ExpressionError."""
        ...

    def value(self, draft: Draft, /) -> object:
        """Its value: None, bool, int, float, str, list, dict, or what else the language has. Raises ExpressionError."""
        ...


class References(Protocol):
    """Where named values and references find what they stand for."""

    def named(self, name: str, /) -> str | Secret | None:
        """A named value; None where there is none of that name."""
        ...

    def resolve(self, reference: str, /) -> Secret:
        """What `${env:…}` or `${file:…}` stands for. Raises ValueError."""
        ...


@frozen
class NoReferences:
    """Knows none."""

    def named(self, _name: str, /) -> str | Secret | None:
        """None."""
        return None

    def resolve(self, _reference: str, /) -> Secret:
        """Nothing. Raises ValueError."""
        raise ValueError("there are no references here")


NO_REFERENCES: Final = NoReferences()


@frozen
class Constant:
    """A value that is written down as it is."""

    constant: str | bool | float

    @property
    def source(self) -> str:
        """The value."""
        return str(self.constant)

    def truth(self, _draft: Draft, /) -> bool:
        """Whether it is true."""
        return self.constant is True

    def text(self, _draft: Draft, /) -> str:
        """The value as text."""
        return str(self.constant)

    def value(self, _draft: Draft, /) -> object:
        """The value."""
        return self.constant


@frozen
class Condition:
    """An expression that is true or false."""

    program: Program

    def holds(self, draft: Draft) -> bool:
        """Whether it is true of the request. Raises ExpressionError."""
        program = self.program
        if isinstance(program, Constant):
            return program.truth(draft)
        return draft.answers.ask(draft.at, program.source, lambda: program.truth(draft))


@frozen
class Template:
    """Text: literal, with expressions and secrets in it."""

    parts: tuple[str | Secret | Program, ...]

    def value(self, draft: Draft, *, secret: bool = False) -> str:
        """The text with every expression replaced by its value; explanations do not show one that is `secret`.

        Raises ExpressionError.
        """
        return "".join([_text(part, draft, secret=secret) for part in self.parts])

    @property
    def literal(self) -> str | None:
        """The text, where nothing in it depends on the request; None otherwise, and for a secret."""
        return "".join(map(str, self.parts)) if all(isinstance(part, str) for part in self.parts) else None


@frozen
class Typed:
    """An expression whose value keeps its type; or literal text."""

    content: Template | Program

    def value(self, draft: Draft) -> object:
        """The value. Raises ExpressionError."""
        content = self.content
        if isinstance(content, Template):
            return content.value(draft)
        return draft.answers.value(draft.at, content.source, lambda: content.value(draft), "", secret=hides(content))


@frozen
class Quantity:
    """A whole number from `low` to `high`, written down or computed."""

    content: int | Program
    low: int
    high: int

    def value(self, draft: Draft) -> int:
        """The number. Raises ExpressionError where it is not one, or out of bounds."""
        content = self.content
        if isinstance(content, int):
            return content
        return draft.answers.value(draft.at, content.source, lambda: self._within(content.value(draft)), self.low)

    def _within(self, value: object) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise ExpressionError(f"a number that should lie from {self.low} to {self.high} does not")
        return value


def _text(part: str | Secret | Program, draft: Draft, *, secret: bool) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Secret):
        return part.reveal()
    return draft.answers.value(draft.at, part.source, lambda: part.text(draft), "", secret=secret or hides(part))


def hides(program: Program) -> bool:
    """Whether a program has a secret in it, so that its value may tell it."""
    return bool(getattr(program, "holds_secret", False))
