"""Members, calls and indexes: which one is meant, seen from the types when an expression is compiled.

Of an `object` it is only seen when there is a value: then the name must be one that some type has. `?.` ends a chain
with null. Refuses to know how a chain is written, and what the members do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mcpgov.errors import ExpressionError, InvalidExpression
from mcpgov.frozen import frozen
from mcpgov.policy.csharp.kinds import ENUMERATIONS, NULL, OBJECT, TYPES, Type, or_null, type_of
from mcpgov.policy.csharp.members import MEMBERS
from mcpgov.policy.csharp.refused import CLASSES, LINQ, NO_LAMBDA
from mcpgov.policy.csharp.refused import MEMBERS as REFUSED
from mcpgov.policy.csharp.signatures import TYPE_ARGUMENT, Method, Table, chosen, invoke, result_of
from mcpgov.policy.csharp.statics import STATICS
from mcpgov.policy.csharp.typed_code import Code, bounded, made
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from mcpgov.policy.csharp.typed_code import Run

_VALUES: Final = (TYPES | ENUMERATIONS) - {"object", "JToken"}  # what an object may turn out to be
_INDEX: Final = "[]"


@frozen
class Call:
    """What is given to a member: `<kind>` and `(values)`."""

    values: tuple[Code, ...] = ()
    kind: Type | None = None

    @property
    def types(self) -> tuple[Type, ...]:
        """The types of the values."""
        return tuple(value.type for value in self.values)

    @property
    def literals(self) -> tuple[str | None, ...]:
        """The values that are written down as text."""
        return tuple(value.literal for value in self.values)

    def __str__(self) -> str:
        return (f"<{self.kind}>" if self.kind else "") + f"({', '.join(map(str, self.types))})"


@frozen
class Link:
    """One link of a chain: a member, a call of one or an index. `safe`: written with ?, so that null ends the chain."""

    type: Type
    label: str
    apply: Callable[[Run, object], object]
    parts: tuple[Code, ...] = ()
    notes: tuple[str, ...] = ()
    safe: bool = False


@frozen
class Named:
    """A member as it is written: its name ([] for an index), where, how, and what is given to it."""

    name: str
    at: int
    call: Call | None
    safe: bool = False


def link(receiver: Type, named: Named) -> Link:
    """A link that hangs on a value of the type `receiver`. Raises InvalidExpression."""
    label = f"{receiver}[…]" if named.name == _INDEX else f"{receiver}.{named.name}"
    _refuse(receiver, label, named)
    if receiver.name == "object" and named.name not in MEMBERS["object"]:
        return _dynamic_link(label, named)
    methods = _found(MEMBERS.get(receiver.name, {}), label, named)

    def apply(run: Run, value: object) -> object:
        return invoke(methods, run, (value,), _values(run, named.call))

    return _linked(methods, label, named, apply)


def static(owner: str, named: Named) -> tuple[Code, tuple[str, ...]]:
    """A static member of the class `owner`, and what there is to note about it. Raises InvalidExpression."""
    methods = _found(STATICS[owner], f"{owner}.{named.name}", named)
    parts = named.call.values if named.call else ()

    def compute(run: Run) -> object:
        return invoke(methods, run, (), _values(run, named.call))

    return made(result_of(methods), named.at, compute, parts), _notes(methods, named)


def refuse_class(name: str, known: Iterable[str], at: int) -> InvalidExpression:
    """Why there is nothing by this name."""
    if refused := CLASSES.get(name):
        return InvalidExpression(f"{name}: {refused.reason}", refused.instead, at)
    return InvalidExpression(f"there is no {name} in expressions here", nearest(name, known), at)


def linked(first: Code, links: Sequence[Link]) -> Code:
    """A value and what hangs on it."""

    def compute(run: Run) -> object:
        value = run.of(first)
        for each in links:
            if value is None and each.safe:
                return None
            if value is None:
                raise ExpressionError(f"{each.label} is asked of null")
            run.step()
            value = bounded(each.apply(run, value))
        return value

    kind = links[-1].type
    safe = any(each.safe for each in links)
    parts = [first, *(part for each in links for part in each.parts)]
    return made(or_null(kind) if safe else kind, first.at, compute, parts)


def _values(run: Run, call: Call | None) -> list[object]:
    return [run.of(value) for value in call.values] if call else []


def _refuse(receiver: Type, label: str, named: Named) -> None:
    owners = (receiver.name, "string") if receiver == OBJECT else (receiver.name,)
    for owner in owners:
        if refused := REFUSED.get((owner, named.name)):
            shown = label if named.name == _INDEX else f"{owner}.{named.name}"
            raise InvalidExpression(f"{shown}: {refused.reason}", refused.instead, named.at)
    if named.name in LINQ:
        raise InvalidExpression(f"LINQ ({named.name}) is not supported in expressions here", NO_LAMBDA, named.at)


def _dynamic_link(label: str, named: Named) -> Link:
    tables = {name: MEMBERS[name] for name in _VALUES if named.name in MEMBERS[name]}
    if not tables:
        known = {name for kind in _VALUES for name in MEMBERS[kind]} - {_INDEX}
        raise InvalidExpression(f"no value has a {named.name}", nearest(named.name, known), named.at)
    by_type = {name: _fitting(table, named) for name, table in tables.items()}
    methods = [one for fitting in by_type.values() for one in fitting]
    if not methods:
        raise InvalidExpression(f"{label} does not take {named.call or 'nothing'}", "", named.at)

    def apply(run: Run, value: object) -> object:
        fitting = by_type.get(type_of(value))
        if not fitting:
            raise ExpressionError(f"{label} is asked of a value that has none")
        return invoke(fitting, run, (value,), _values(run, named.call))

    return _linked(methods, label, named, apply)


def _linked(methods: Sequence[Method], label: str, named: Named, apply: Callable[[Run, object], object]) -> Link:
    parts = named.call.values if named.call else ()
    return Link(result_of(methods), label, apply, parts, _notes(methods, named), named.safe)


def _found(table: Table, label: str, named: Named) -> tuple[Method, ...]:
    if named.name not in table:
        known = table.keys() - {_INDEX}
        raise InvalidExpression(f"there is no {label}", nearest(named.name, known) if known else "", named.at)
    methods = _fitting(table, named)
    if methods:
        return methods
    if named.call is None:
        raise InvalidExpression(f"{label} is a method", f"write {named.name}(…)", named.at)
    if all(one.parameters is None for one in table[named.name]):
        raise InvalidExpression(f"{label} is no method", "remove the parentheses", named.at)
    raise InvalidExpression(f"{label} does not take {named.call}", "", named.at)


def _fitting(table: Table, named: Named) -> tuple[Method, ...]:
    """The overloads of one type that may be meant."""
    methods = table[named.name]
    call = named.call
    if call is None:
        return tuple(one for one in methods if one.parameters is None)
    bound = [_bound(one, call) for one in methods if one.parameters is not None]
    return chosen([one for one in bound if one], call.types)


def _bound(method: Method, call: Call) -> Method | None:
    """The method with its type argument, which is named, or that of the value that is given for it."""
    if not method.generic:
        return None if call.kind else method
    parameters = method.parameters or ()
    at = parameters.index(TYPE_ARGUMENT) if TYPE_ARGUMENT in parameters else len(call.values)
    kind = call.kind
    if kind is None and at < len(call.values):
        kind = OBJECT if call.types[at] == NULL else call.types[at]
    return method.bound(kind) if kind and kind.name in method.generic else None


def _notes(methods: Iterable[Method], named: Named) -> tuple[str, ...]:
    """What the checks of literal arguments have to say. Raises InvalidExpression."""
    literals = named.call.literals if named.call else ()
    try:
        notes = [one.check(literals) for one in methods]
    except ValueError as error:
        raise InvalidExpression(str(error), "", named.at) from None
    return tuple(filter(None, notes))
