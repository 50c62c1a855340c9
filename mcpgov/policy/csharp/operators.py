"""The operators of C#: which types they take, and what they make of values.

As in C#, text takes + with anything, whole numbers divide toward zero and a null operand of a nullable number makes
null. Unlike there, a whole number that 64 bits do not hold is an error, and `object` and `JToken` are compared by value
(a note says so: there == compares references). Other types are refused when the expression is compiled.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.policy.csharp.kinds import (
    BOOL,
    DOUBLE,
    MOMENTS,
    NULL,
    OBJECT,
    STRING,
    TYPES,
    VALUE_TYPES,
    Type,
    accepts,
    convert_token,
    is_dynamic,
    is_number,
    is_printed,
    joint_type,
    may_be,
    number_in_range,
    same,
    text_of,
    to_number,
    unboxed,
    widest,
)
from mcpgov.policy.csharp.typed_code import NO_VALUE, Code, bounded, made

if TYPE_CHECKING:
    from mcpgov.policy.csharp.typed_code import Run

Binary = Callable[[object, object], object]
PRECEDENCE: Final[Mapping[str, int]] = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "is": 4,
    "as": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
BY_REFERENCE: Final = "== of an object or a JToken: API Management compares references; cast it, as in (string)x"
_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CAST_MEND: Final = "cast it, as in (string)x"


def chain(first: Code, rest: Sequence[tuple[str, Code]]) -> Code:
    """Operators of one precedence in a row, from left to right. Raises InvalidExpression."""
    parts = [first, *(operand for _, operand in rest)]
    if rest[0][0] in ("&&", "||"):
        return _logic(rest[0][0], parts)
    kind, steps = first.type, list[tuple[Binary, Code]]()
    for name, operand in rest:
        kind, operation = _operation(name, kind, operand)
        steps.append((operation, operand))

    def compute(run: Run) -> object:
        value = run.of(first)
        for operation, operand in steps:
            value = bounded(operation(value, run.of(operand)))
        return value

    return made(kind, first.at, compute, parts)


def _logic(name: str, parts: list[Code]) -> Code:
    for part in parts:
        want_bool(part, name)
    decisive = name == "||"

    def compute(run: Run) -> bool:
        return any(truth(run.of(p)) for p in parts) if decisive else all(truth(run.of(p)) for p in parts)

    return made(BOOL, parts[0].at, compute, parts)


def want_bool(code: Code, where: str) -> None:
    """Raises InvalidExpression where the code cannot be true or false."""
    if not may_be(code.type, BOOL):
        mend = "compare it with true: x == true" if code.type == Type("bool", nullable=True) else ""
        raise InvalidExpression(f"{where} needs true or false, and this is {code.type}", mend, code.at)


def truth(value: object) -> bool:
    """The value. Raises ExpressionError where it is neither true nor false."""
    if not isinstance(value, bool):
        raise ExpressionError("a condition is neither true nor false for this request")
    return value


def _operation(name: str, kind: Type, operand: Code) -> tuple[Type, Binary]:
    other = operand.type
    if name in ("==", "!="):
        return BOOL, _equality(name, kind, operand)
    if name in _ORDER:
        return BOOL, _comparison(name, kind, operand)
    if name == "+" and STRING in (kind, other):
        for one in (kind, other):
            if not is_printed(one):
                raise InvalidExpression(f"{one} has no text to join", "", operand.at)
        return STRING, _joined
    if is_number(kind) and is_number(other):
        result = widest(kind, other)
        return result, _lifted(_arithmetic(name, result)) if result.nullable else _arithmetic(name, result)
    if _one_is_dynamic(kind, other) and all(is_dynamic(one) or is_number(one) for one in (kind, other)):
        return OBJECT, _sum if name == "+" else _arithmetic(name, OBJECT)
    raise InvalidExpression(f"{name} cannot take {kind} and {other}", "", operand.at)


def _one_is_dynamic(kind: Type, other: Type) -> bool:
    return is_dynamic(kind) or is_dynamic(other)


def _equality(name: str, kind: Type, operand: Code) -> Binary:
    other = operand.type
    both = {kind.name, other.name}
    by_value = (is_number(kind) and is_number(other)) or (len(both) == 1 and both <= {"string", *VALUE_TYPES})
    dynamic = _one_is_dynamic(kind, other) and both <= {*TYPES, *VALUE_TYPES}
    if not (by_value or dynamic or NULL in (kind, other) or both <= MOMENTS):
        raise InvalidExpression(f"{name} cannot compare {kind} and {other}", "", operand.at)
    if name == "==":
        return same
    return lambda one, another: not same(one, another)


def compares_references(names: Sequence[str], parts: Sequence[Code]) -> bool:
    """Whether API Management would compare references where values are compared here."""
    kinds = [part.type for part in parts]
    return bool({"==", "!="} & {*names}) and any(map(is_dynamic, kinds)) and NULL not in kinds


def _comparison(name: str, kind: Type, operand: Code) -> Binary:
    other, compare = operand.type, _ORDER[name]
    numbers = all(is_number(one) or is_dynamic(one) for one in (kind, other))
    moments = all(one.name in MOMENTS or is_dynamic(one) for one in (kind, other))
    if not (numbers or moments):
        mend = "text has no order in C#: use string.Compare" if STRING in (kind, other) else ""
        raise InvalidExpression(f"{name} cannot compare {kind} and {other}", mend, operand.at)

    def compared(one: object, another: object) -> bool:
        if isinstance(one, datetime) and isinstance(another, datetime):
            return compare(one.timestamp(), another.timestamp())
        return compare(*_numbers(name, one, another))

    if kind.nullable or other.nullable:
        return lambda one, another: None not in (one, another) and compared(one, another)
    return compared


def _numbers(name: str, one: object, other: object) -> tuple[float, float]:
    if not accepts(DOUBLE, one) or not accepts(DOUBLE, other):
        raise ExpressionError(f"{name} needs two numbers, and has something else")
    return cast("float", one), cast("float", other)


def _lifted(operation: Binary) -> Binary:
    return lambda one, other: None if one is None or other is None else operation(one, other)


def _joined(one: object, other: object) -> str:
    return text_of(one) + text_of(other)


def _sum(one: object, other: object) -> object:
    if isinstance(one, str) or isinstance(other, str):
        return _joined(one, other)
    return _arithmetic("+", OBJECT)(one, other)


def _arithmetic(name: str, result: Type) -> Binary:
    def computed(one: object, other: object) -> object:
        left, right = _numbers(name, one, other)
        if result.name == "double":
            left, right = float(left), float(right)
        if right == 0 and name in ("/", "%"):
            raise ExpressionError("a division by zero")
        return number_in_range(_ARITHMETIC[name](left, right))

    return computed


def _quotient(one: float, other: float) -> float:
    if isinstance(one, float) or isinstance(other, float):
        return one / other
    return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)


def _remainder(one: float, other: float) -> float:
    if isinstance(one, float) or isinstance(other, float):
        return math.fmod(one, other)
    return abs(one) % abs(other) * (1 if one >= 0 else -1)


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _remainder,
}


def negated(code: Code, at: int) -> Code:
    """-x."""
    if not (is_number(code.type) or is_dynamic(code.type)):
        raise InvalidExpression(f"- cannot take {code.type}", "", at)
    zero = Code(code.type, at, lambda _run: 0)
    return chain(zero, [("-", code)])


def inverted(code: Code, at: int) -> Code:
    """!x."""
    want_bool(code, "!")
    return made(BOOL, at, lambda run: not truth(run.of(code)), [code])


def conditional(test: Code, then: Code, otherwise: Code) -> Code:
    """Test ? then : otherwise."""
    want_bool(test, "?:")
    kind = joint_type(then.type, otherwise.type)
    if kind is None:
        raise InvalidExpression(f"?: cannot give {then.type} or {otherwise.type}", _CAST_MEND, otherwise.at)
    parts = (test, then, otherwise)
    return made(kind, test.at, lambda run: run.of(then if truth(run.of(test)) else otherwise), parts)


def first_not_null(parts: Sequence[Code]) -> Code:
    """A ?? b ?? c."""
    kind = parts[0].type
    for part in parts[1:]:
        if kind.name in VALUE_TYPES and not kind.nullable:
            raise InvalidExpression(f"{kind} is never null, so ?? is of no use", "remove it", part.at)
        joint = joint_type(Type(kind.name), part.type)
        if joint is None:
            raise InvalidExpression(f"?? cannot give {kind} or {part.type}", _CAST_MEND, part.at)
        kind = joint

    def compute(run: Run) -> object:
        return next((value for value in map(run.of, parts) if value is not None), None)

    return made(kind, parts[0].at, compute, parts)


def cast_to(kind: Type, code: Code, at: int) -> Code:
    """(kind)code."""
    known = code.type
    if not (may_be(known, kind) or known.name == kind.name or (is_number(known) and is_number(kind))):
        mend = f"use {kind}.Parse" if known == STRING and kind.name in VALUE_TYPES else ""
        raise InvalidExpression(f"{known} cannot be cast to {kind}", mend, at)
    convert = convert_token if known.name == "JToken" and kind != OBJECT else unboxed
    if is_number(known) and is_number(kind):
        convert = _truncated

    def compute(run: Run) -> object:
        try:
            return convert(run.of(code), kind)
        except NO_VALUE:
            raise ExpressionError(f"a value cannot be cast to {kind}") from None

    return made(kind, at, compute, [code])


def convertible(kind: Type, code: Code) -> Code:
    """Code where a variable of the type `kind` takes it. Raises InvalidExpression."""
    if not may_be(code.type, kind):
        raise InvalidExpression(
            f"a variable of the type {kind} cannot hold {code.type}", "cast it, or declare it with var", code.at
        )
    return cast_to(kind, code, code.at) if code.type != kind else code


def _truncated(value: object, kind: Type) -> object:
    if value is None and kind.nullable:
        return None
    number = _numbers("a cast", value, 0)[0]
    return to_number(number if kind.name == "double" else math.trunc(number), kind)


def type_test(code: Code, kind: Type) -> Code:
    """Code is kind."""
    return made(BOOL, code.at, lambda run: accepts(Type(kind.name), run.of(code)), [code])


def as_type(code: Code, kind: Type) -> Code:
    """Code as kind: null where it is none."""
    if kind.name in VALUE_TYPES and not kind.nullable:
        raise InvalidExpression(f"{kind} is never null", f"write as {kind}?", code.at)

    def compute(run: Run) -> object:
        value = run.of(code)
        return value if accepts(kind, value) else None

    return made(kind, code.at, compute, [code])
