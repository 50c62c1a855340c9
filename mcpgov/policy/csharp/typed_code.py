"""What an expression of API Management becomes: code that knows its type, is run on a draft, and is bounded.

Everything that is computed passes `Run.of`: 10,000 steps and texts of 64 KiB at most, else an ExpressionError.
Code nests at most 64 deep, which is seen when it is made. Refuses to know the language and what it offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from mcpgov.policy.csharp.kinds import Type
    from mcpgov.policy.draft import Draft

MAX_STEPS: Final = 10_000
MAX_STRING: Final = 64 * 1024
MAX_DEPTH: Final = 64
NO_VALUE: Final = (ArithmeticError, LookupError, TypeError, ValueError)  # what a part without a value may raise
TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"
SPLIT: Final = "split it into several variables"


@dataclass(slots=True)
class Run:
    """One evaluation. `variables` are those that the expression declares, by number."""

    draft: Draft
    source: str
    variables: dict[int, object] = field(default_factory=dict[int, object])
    steps: int = 0
    guids: int = 0

    def step(self) -> None:
        """Count one. Raises ExpressionError where it is one too many."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ExpressionError(f"an expression takes more than {MAX_STEPS} steps")

    def of(self, code: Code) -> object:
        """The value of a part. Raises ExpressionError."""
        self.step()
        return bounded(code.compute(self))


@frozen
class Code:
    """A part that has a value. `at` is the character where it stands; `literal` its text, where it is written down."""

    type: Type
    at: int
    compute: Callable[[Run], object]
    depth: int = 1
    literal: str | None = field(default=None, repr=False)


def made(kind: Type, at: int, compute: Callable[[Run], object], parts: Iterable[Code]) -> Code:
    """Code that is computed from `parts`. Raises InvalidExpression where it nests too deeply."""
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise InvalidExpression(TOO_DEEP, SPLIT, at)
    return Code(kind, at, compute, depth)


def bounded(value: object) -> object:
    """The value. Raises ExpressionError where it is a text that is too long."""
    if isinstance(value, str) and len(value) > MAX_STRING:
        raise ExpressionError(f"a text is longer than {MAX_STRING} characters")
    return value
