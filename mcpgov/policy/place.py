"""Where a value of a policy document stands, and how it is read: typed, all problems noted, none raised.

An element reads its values through a Place and always gets something of the right type; when anything was noted, the
document is refused as a whole and what was made from the substitutes is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from mcpgov.policy.element import Step
from mcpgov.policy.expression import InvalidExpression, Template, compile_condition, compile_template, compile_text
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.errors import Problem
    from mcpgov.models import Json
    from mcpgov.policy.element import Element
    from mcpgov.policy.expression import Condition, Text
    from mcpgov.yaml_source import Path, YamlSource

# Known to Azure API Management or to a later version: refused by name, so that nobody thinks it is in force.
NOT_YET: Final = frozenset({
    *("rate-limit", "quota", "quota-by-key", "check-header", "set-query-parameter", "set-variable", "rewrite-uri"),
    *("limit-concurrency", "retry", "forward-request", "return-response", "cors", "trace", "emit-metric"),
    *("include-fragment", "find-and-replace", "mock-response", "set-body", "set-method", "set-status"),
    *("validate-jwt", "validate-azure-ad-token", "authentication-managed-identity", "authentication-basic"),
    *("authentication-certificate", "get-authorization-context", "log-to-eventhub", "argument-rules", "result-rules"),
    *("schema-rules", "forward-headers", "quarantine"),
})  # fmt: skip
T = TypeVar("T")
_NEVER: Final = compile_condition("false")
_NOTHING: Final = compile_text('""')


class Loadable(Protocol):
    """A class of elements: how the registry sees it."""

    @property
    def name(self) -> str:
        """Its word in a document."""
        ...

    @property
    def sections(self) -> tuple[str, ...]:
        """Where it may stand."""
        ...

    def load(self, place: Place) -> Element:
        """Read an element; what is wrong is noted at `place`."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """One value of a document. `rule` is the number of the step it belongs to (`company#2`)."""

    source: YamlSource
    path: Path
    value: Json
    problems: list[Problem]
    elements: Mapping[str, Loadable]
    section: str
    rule: str

    def note(self, message: str, mend: str = "", *, at_key: bool = False) -> None:
        """Note a problem with this value, or with its key."""
        self.problems.append(self.source.problem(self.path, message, mend, at_key=at_key))

    def at(self, key: str) -> Place:
        """The value under `key`; None where there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return replace(self, path=(*self.path, key), value=value)

    def only(self, *known: str) -> None:
        """Note it where this is not a mapping, and every key that is not `known`."""
        if not isinstance(self.value, dict):
            self.note("must be a mapping", f"write {{ {known[0]}: … }}")
            return
        for key in self.value:
            if key not in known:
                self.at(key).note(f"there is no key {key} here", nearest(key, known), at_key=True)

    def text(self, key: str, default: str | None = None) -> str:
        """The text under `key`, which is not empty; without a `default` it must be there."""
        here = self.at(key)
        if here.value:
            if isinstance(here.value, str):
                return here.value
            here.note(f"{key} must be text", "put it in quotes")
        elif here.value is not None:
            here.note(f"{key} must be text that is not empty")
        elif default is None:
            self._missing(key)
        return default or ""

    def choice(self, key: str, options: tuple[str, ...], default: str | None = None) -> str:
        """One of `options` under `key`."""
        chosen = self.text(key, default)
        if chosen and chosen not in options:
            self.at(key).note(f"{key} must be {' or '.join(options)}")
        return chosen

    def whole_number(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high` under `key`; it must be there."""
        here = self.at(key)
        if here.value is None:
            self._missing(key)
        elif not isinstance(here.value, int) or isinstance(here.value, bool) or not low <= here.value <= high:
            here.note(f"{key} must be a whole number from {low} to {high}")
        else:
            return here.value
        return low

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false under `key`."""
        here = self.at(key)
        if here.value is not None and not isinstance(here.value, bool):
            here.note(f"{key} must be true or false", "without quotes")
        return here.value if isinstance(here.value, bool) else default

    def items(self, key: str) -> tuple[Place, ...]:
        """The items of the list under `key`; none where the key is absent."""
        here = self.at(key)
        if isinstance(here.value, list):
            return tuple(replace(here, path=(*here.path, n), value=item) for n, item in enumerate(here.value))
        if isinstance(self.value, dict) and key in self.value:
            here.note(f"{key} must be a list", "write [a, b], or one - a line; [] for none")
        return ()

    def texts(self, key: str) -> tuple[tuple[Place, str], ...]:
        """The items of the list under `key`, each of which must be text."""
        items = self.items(key)
        for item in items:
            if not isinstance(item.value, str):
                item.note("must be text", "put it in quotes")
        return tuple((item, item.value) for item in items if isinstance(item.value, str))

    def condition(self, key: str, default: str | None = None) -> Condition:
        """The condition under `key`."""
        return self._compiled(key, default, compile_condition, _NEVER)

    def expression(self, key: str, default: str | None = None) -> Text:
        """The CEL expression for text under `key`."""
        return self._compiled(key, default, compile_text, _NOTHING)

    def template(self) -> Template:
        """The value itself: text in which `${{ CEL }}` stands for a value."""
        try:
            return compile_template(str(self.value))
        except InvalidExpression as error:
            self.note(error.message, error.mend)
            return Template(())

    def steps(self, key: str) -> tuple[Step, ...]:
        """The elements listed under `key`, in order."""
        steps = (
            _step(replace(item, rule=f"{self.rule}{number}")) for number, item in enumerate(self.items(key), start=1)
        )
        return tuple(step for step in steps if step is not None)

    def _missing(self, key: str) -> None:
        if isinstance(self.value, dict):
            self.note(f"{key} is missing", f"add {key}:")

    def _compiled(self, key: str, default: str | None, compile_: Callable[[str], T], substitute: T) -> T:
        text = self.text(key, default)
        if not text:
            return substitute
        try:
            return compile_(text)
        except InvalidExpression as error:
            self.at(key).note(f"{key}: {error.message}", error.mend)
            return substitute


def _step(place: Place) -> Step | None:
    if not isinstance(place.value, dict) or len(place.value) != 1:
        place.note("a step is one element", "write - name: { … }, with one name to a step")
        return None
    (name,) = place.value
    here = place.at(name)
    loadable = place.elements.get(name)
    if loadable is None and name in NOT_YET:
        here.note(f"{name} is not supported yet", "remove it; nothing else stands in for it", at_key=True)
    elif loadable is None:
        here.note(f"there is no policy element {name}", nearest(name, place.elements), at_key=True)
    elif place.section not in loadable.sections:
        here.note(f"{name} may not stand in {place.section}", f"move it to {loadable.sections[0]}", at_key=True)
    else:
        where = here.source.problem(here.path, "", at_key=True)
        return Step(loadable.load(here), f"{place.rule} {name}", where.file, where.line, where.column)
    return None
