"""Methods and properties of C#, each declared by its own line of C#: `bool StartsWith(string, StringComparison)`.

    int Length                     a property             T Value<T>(string)      the caller names the type
    JToken [](string)              an indexer             string Join(string, object...)   any number of them
    int? IndexOf(string?)          null may come out, or go in
    context DateTime UtcNow        a member that asks the draft

Which overload is meant is seen when the expression is compiled, as far as the types are known, and else when it is run.
A function behind a signature says that it has no value by raising one of NO_VALUE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.csharp.kinds import OBJECT, VALUE_TYPES, Type, accepts, is_dynamic, may_be
from mcpgov.policy.csharp.typed_code import NO_VALUE

if TYPE_CHECKING:
    from mcpgov.policy.csharp.typed_code import Run

_SIGNATURE: Final = re.compile(
    r"(?P<context>context )?(?P<result>\S+) (?P<name>[\w\[\]]+)(?:<T: (?P<generic>[^>]+)>)?(?:\((?P<params>.*)\))?"
)
TYPE_ARGUMENT: Final = Type("T")
Check = Callable[[Sequence[str | None]], str]


def unchecked(_literals: Sequence[str | None]) -> str:
    """A check that has nothing to say."""
    return ""


@frozen
class Method:
    """One overload. `parameters` is None for a property; with `many` its last one may be given any number of times.

    `check` is given the literal arguments (None for one that is computed) when the expression is compiled: it raises
    ValueError where one can never be right, and gives a note for the reader, or "".
    """

    name: str
    result: Type
    apply: Callable[..., object]
    parameters: tuple[Type, ...] | None = None
    many: bool = False
    generic: tuple[str, ...] = ()
    asks_context: bool = False
    check: Check = unchecked

    def bound(self, kind: Type) -> Method:
        """The same method, its T being `kind`."""
        given = kind if kind.name in VALUE_TYPES else Type(kind.name, nullable=True)
        parameters = tuple(given if one == TYPE_ARGUMENT else one for one in self.parameters or ())
        result = kind if self.result == TYPE_ARGUMENT else self.result

        def apply(receiver: object, *values: object) -> object:
            return self.apply(receiver, kind, *values)

        return Method(self.name, result, apply, parameters, check=self.check)

    def may_take(self, given: Sequence[Type]) -> bool:
        """Whether arguments of these types may turn out to fit."""
        wanted = self.wanted(len(given))
        return wanted is not None and all(map(may_be, given, wanted))

    def takes(self, values: Sequence[object]) -> bool:
        """Whether these arguments fit."""
        wanted = self.wanted(len(values))
        return wanted is not None and all(map(accepts, wanted, values))

    def wanted(self, count: int) -> tuple[Type, ...] | None:
        """The types of `count` arguments; None where it does not take so many."""
        parameters = self.parameters or ()
        if self.many and count >= len(parameters) - 1:
            return parameters[:-1] + parameters[-1:] * (count - len(parameters) + 1)
        return parameters if count == len(parameters) else None


Table = Mapping[str, tuple[Method, ...]]


def method(signature: str, apply: Callable[..., object], check: Check = unchecked) -> Method:
    """A method as its signature declares it."""
    found = _SIGNATURE.fullmatch(signature)
    if found is None:
        raise ValueError(f"not a signature: {signature}")
    params = found["params"]
    listed = None if params is None else [one.strip() for one in params.split(",") if one.strip()]
    return Method(
        name=found["name"],
        result=_declared(found["result"]),
        apply=apply,
        parameters=None if listed is None else tuple(_declared(one.removesuffix("...")) for one in listed),
        many=bool(listed) and listed[-1].endswith("..."),
        generic=tuple((found["generic"] or "").split()),
        asks_context=found["context"] is not None,
        check=check,
    )


def table(*methods: Method) -> Table:
    """Methods by their names; overloads keep their order, the narrowest first."""
    return {one.name: tuple(other for other in methods if other.name == one.name) for one in methods}


def chosen(methods: Sequence[Method], given: Sequence[Type]) -> tuple[Method, ...]:
    """The overloads that may be meant: one, unless an argument's type is not known."""
    fitting = tuple(one for one in methods if one.may_take(given))
    return fitting if any(map(is_dynamic, given)) else fitting[:1]


def result_of(methods: Sequence[Method]) -> Type:
    """The type of what one of `methods` gives."""
    results = {one.result for one in methods}
    return results.pop() if len(results) == 1 else OBJECT


def invoke(methods: Sequence[Method], run: Run, receiver: tuple[object, ...], values: Sequence[object]) -> object:
    """What the first overload gives that takes `values`. `receiver` is empty for a static member.

    Raises ExpressionError.
    """
    for one in methods:
        if one.takes(values):
            try:
                return one.apply(*((run,) if one.asks_context else ()), *receiver, *values)
            except NO_VALUE:  # its own text could quote a value
                raise ExpressionError(f"{_called(one.name)} has no value for what it was given") from None
    raise ExpressionError(f"{_called(methods[0].name)} cannot take what it was given")


def _called(name: str) -> str:
    return "an index" if name == "[]" else name


def _declared(name: str) -> Type:
    return Type(name.removesuffix("?"), nullable=name.endswith("?"))
