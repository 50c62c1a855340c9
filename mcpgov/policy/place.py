"""Where a value of a policy document stands, whichever syntax it was written in, and how it is read from there.

An element reads its attributes through a Place and always gets something of the right type; when anything was noted,
the document is refused as a whole and what was made from the substitutes is thrown away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from mcpgov.errors import InvalidExpression, Problem
from mcpgov.frozen import frozen
from mcpgov.policy.element import Step
from mcpgov.policy.not_here import NOT_HERE
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.models import Json
    from mcpgov.policy.element import Element
    from mcpgov.policy.expression import Program, Template, Typed
    from mcpgov.yaml_source import Path, Source

MAX_STEPS: Final = 10_000
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Dialect(Protocol):
    """How a syntax writes what is not a plain value. Each method raises InvalidExpression."""

    @property
    def xml(self) -> bool:
        """Whether this is API Management's own syntax, where every value is text."""
        ...

    def condition(self, text: str, /) -> Program:
        """What is true or false."""
        ...

    def key(self, text: str, /) -> Template:
        """Text that a counter is kept under."""
        ...

    def template(self, text: str, /) -> Template:
        """Text that may have expressions in it."""
        ...

    def typed(self, text: str, /) -> Typed:
        """Text, or one expression whose value keeps its type."""
        ...

    def number(self, text: str, /) -> Program | None:
        """A computed number; None where `text` is no expression."""
        ...

    def literal(self, text: str, /) -> str:
        """Plain text, with named values put in. No secret may stand in it."""
        ...

    def remarks(self, text: str, /) -> tuple[str, ...]:
        """What API Management would do otherwise with the expression in `text`."""
        ...


class Attribute(ABC, Generic[T_co]):
    """One attribute of an element: its name, how it is read, and what it may be.

    `xml` says where API Management's syntax has it: "" the XML attribute of that name; "." the text of the element;
    "*" the elements inside it; `value` the texts of all children <value>; `a/b` those of the <b> inside <a>;
    `a/@x` the attribute x of the child <a>; `a/*` the elements inside <a>. Where the attribute is a list of mappings,
    the children named by `xml` are read by `fields`.
    """

    name: str
    about: str
    xml: str

    @abstractmethod
    def read(self, place: Place, /) -> T_co:
        """The value under this name in the mapping at `place`; what is wrong is noted there."""

    @abstractmethod
    def schema(self) -> dict[str, Json]:
        """The JSON Schema (2020-12) of the value in YAML."""

    @property
    def is_required(self) -> bool:
        """Whether it must be there: it says so, or it has no default."""
        return bool(getattr(self, "required", getattr(self, "default", None) is None))

    @property
    def fields(self) -> tuple[Attribute[object], ...]:
        """What each item holds, where the attribute is a list of mappings."""
        return ()


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

    @property
    def attributes(self) -> tuple[Attribute[object], ...]:
        """Everything that may be said of it."""
        ...

    def load(self, place: Place) -> Element:
        """Read an element; what is wrong is noted at `place`."""
        ...


@frozen
class Fragment:
    """Steps that documents include by name. `digest` is the SHA-256 of the file's text."""

    source: Source
    dialect: Dialect
    digest: str


@dataclass(slots=True)
class Reading:
    """What is collected while one document is read. `parts` are the digests of what it draws in from elsewhere."""

    elements: Mapping[str, Loadable]
    fragments: Mapping[str, Fragment] = field(default_factory=dict[str, Fragment])
    problems: list[Problem] = field(default_factory=list[Problem])
    remarks: list[Problem] = field(default_factory=list[Problem])
    parts: list[str] = field(default_factory=list[str])
    steps: int = 0


@frozen
class Place:
    """One value of a document. `rule` is the number of the step it belongs to (`company#2`); "" as `section` is any."""

    source: Source
    path: Path
    value: Json
    dialect: Dialect
    reading: Reading
    section: str
    rule: str
    including: tuple[str, ...] = ()  # the fragments that this one stands in

    def note(self, message: str, mend: str = "", *, at_key: bool = False) -> None:
        """Note a problem with this value, or with its key."""
        self.reading.problems.append(self.source.problem(self.path, message, mend, at_key=at_key))

    def remark(self, message: str, mend: str = "", *, at_key: bool = False) -> None:
        """Note what API Management would do otherwise, or what is likely not meant."""
        self.reading.remarks.append(self.source.problem(self.path, message, mend, at_key=at_key))

    def has(self, key: str) -> bool:
        """Whether something is written under `key`."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def at(self, key: str) -> Place:
        """The value under `key`; None where there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return replace(self, path=(*self.path, key), value=value)

    @property
    def literal(self) -> Json:
        """The value, named values put into it where it is text."""
        if not isinstance(self.value, str) or "{{" not in self.value:
            return self.value
        try:
            return self.dialect.literal(self.value)
        except InvalidExpression as error:
            self.note(f"{self.path[-1]}: {error.message}", error.mend)
            return ""

    def only(self, attributes: tuple[Attribute[object], ...]) -> None:
        """Note it where this is not a mapping, and every key that is not among `attributes`."""
        known = [attribute.name for attribute in attributes]
        if not isinstance(self.value, dict):
            self.note("must be a mapping", f"write {{ {known[0]}: … }}" if known else "write {}")
            return
        for key in self.value:
            if key not in known and not (key == "id" and self.dialect.xml):
                self.at(key).note(f"there is no key {key} here", nearest(key, known), at_key=True)

    def missing(self, key: str) -> None:
        """Note that `key` has to be there."""
        if isinstance(self.value, dict):
            self.note(f"{key} is missing", f"add {key}:")

    def items(self, key: str) -> tuple[Place, ...]:
        """The items of the list under `key`; none where the key is absent."""
        here = self.at(key)
        if isinstance(here.value, list):
            return tuple(replace(here, path=(*here.path, n), value=item) for n, item in enumerate(here.value))
        if isinstance(self.value, dict) and key in self.value:
            here.note(f"{key} must be a list", "write [a, b], or one - a line; [] for none")
        return ()

    def compiled(self, compile_: Callable[[str], T], substitute: T) -> T:
        """The expression in this value, which is text; `substitute` where it cannot be compiled."""
        text = str(self.value)
        try:
            compiled, remarks = compile_(text), self.dialect.remarks(text)
        except InvalidExpression as error:
            name = next(step for step in reversed(self.path) if isinstance(step, str))
            problem = self.source.problem(self.path, f"{name}: {error.message}", error.mend)
            self.reading.problems.append(_moved(problem, text, error.offset) if self.dialect.xml else problem)
            return substitute
        for remark in remarks:
            self.remark(remark)
        return compiled

    def steps(self, key: str) -> tuple[Step, ...]:
        """The elements listed under `key`, in order."""
        numbered = enumerate(self.items(key), start=1)
        return tuple(step for number, item in numbered for step in replace(item, rule=f"{self.rule}{number}").step())

    def step(self) -> tuple[Step, ...]:
        """The one element that stands here; none where it cannot be read."""
        step = _step(self)
        return (step,) if step is not None else ()


def _moved(problem: Problem, text: str, offset: int | None) -> Problem:
    """The problem `offset` characters further on, in text that stands in the file as it is."""
    if not offset:
        return problem
    before = text[:offset]
    lines = before.count("\n")
    column = len(before) - before.rfind("\n") if lines else problem.column + offset
    return replace(problem, line=problem.line + lines, column=column)


def _step(place: Place) -> Step | None:
    place.reading.steps += 1
    if not isinstance(place.value, dict) or len(place.value) != 1:
        place.note("a step is one element", "write - name: { … }, with one name to a step")
        return None
    (name,) = place.value
    here = place.at(name)
    loadable = place.reading.elements.get(name)
    if place.reading.steps > MAX_STEPS:
        if place.reading.steps == MAX_STEPS + 1:
            here.note(f"there are more than {MAX_STEPS} elements", "split the document", at_key=True)
    elif name == "base":
        here.note("base stands only at the top of a section", "move it out", at_key=True)
    elif loadable is None and name in NOT_HERE:
        here.note(f"{name} is not supported", NOT_HERE[name], at_key=True)
    elif loadable is None:
        here.note(f"there is no policy element {name}", nearest(name, place.reading.elements), at_key=True)
    elif place.section and place.section not in loadable.sections:
        here.note(f"{name} may not stand in {place.section}", f"move it to {loadable.sections[0]}", at_key=True)
    else:
        here.only(loadable.attributes)
        where = here.source.problem(here.path, "", at_key=True)
        return Step(loadable.load(here), f"{place.rule} {name}", where.file, where.line, where.column)
    return None
