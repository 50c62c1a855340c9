"""The kinds of attribute that elements have. Each is declared once, and from that it is read, checked, found in XML,
and described in the published JSON Schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.policy.expression import Condition, Constant, Quantity, Template, Typed
from mcpgov.policy.place import Attribute

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.element import Step
    from mcpgov.policy.place import Place

_NEVER: Final = Condition(Constant(constant=False))
_NOTHING: Final = Template(())
_EXPRESSION: Final = r"\$\{\{[\s\S]*\}\}"


@frozen
class Text(Attribute[str]):
    """Literal text that is not empty; without a `default` it must be there."""

    name: str
    about: str
    default: str | None = None
    xml: str = ""

    def read(self, place: Place, /) -> str:
        """The text."""
        if place.at(self.name).value is None and self.default is not None:
            return self.default
        text = place.at(self.name).literal if is_written(place, self.name) else ""
        return text if isinstance(text, str) and text else self.default or ""

    def schema(self) -> dict[str, Json]:
        """Text."""
        return {"type": "string", "minLength": 1}


@frozen
class Choice(Attribute[str]):
    """One of a few words."""

    name: str
    about: str
    options: tuple[str, ...]
    default: str | None = None
    xml: str = ""

    def read(self, place: Place, /) -> str:
        """The word."""
        chosen = Text(self.name, self.about, self.default).read(place)
        if chosen and chosen not in self.options:
            place.at(self.name).note(f"{self.name} must be {' or '.join(self.options)}")
        return chosen

    def schema(self) -> dict[str, Json]:
        """The words."""
        return {"enum": list(self.options)}


@frozen
class Flag(Attribute[bool]):
    """True or false."""

    name: str
    about: str
    default: bool
    xml: str = ""

    def read(self, place: Place, /) -> bool:
        """Whether it is true."""
        here = place.at(self.name)
        value = here.literal
        if place.dialect.xml and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            here.note(f"{self.name} must be true or false", "" if place.dialect.xml else "without quotes")
        return value if isinstance(value, bool) else self.default

    def schema(self) -> dict[str, Json]:
        """A boolean."""
        return {"type": "boolean", "default": self.default}


@frozen
class WholeNumber(Attribute[int]):
    """A whole number from `low` to `high`, written down."""

    name: str
    about: str
    low: int
    high: int
    default: int | None = None
    xml: str = ""

    def read(self, place: Place, /) -> int:
        """The number."""
        here, otherwise = place.at(self.name), self.low if self.default is None else self.default
        if here.value is None:
            if self.default is None:
                place.missing(self.name)
            return otherwise
        value = whole_number(here)
        if value is None or not self.low <= value <= self.high:
            here.note(f"{self.name} must be a whole number from {self.low} to {self.high}")
            return otherwise
        return value

    def schema(self) -> dict[str, Json]:
        """An integer within the bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@frozen
class Number(Attribute[Quantity]):
    """A whole number from `low` to `high`, written down or computed for each request."""

    name: str
    about: str
    low: int
    high: int
    default: int | None = None
    xml: str = ""

    def read(self, place: Place, /) -> Quantity:
        """The number, or how it is computed."""
        here = place.at(self.name)
        if isinstance(here.value, str):
            program = here.compiled(place.dialect.number, Constant(self.low))
            if program is not None:
                return Quantity(program, self.low, self.high)
        fixed = WholeNumber(self.name, self.about, self.low, self.high, self.default)
        return Quantity(fixed.read(place), self.low, self.high)

    def schema(self) -> dict[str, Json]:
        """An integer within the bounds, or an expression."""
        written: Json = WholeNumber(self.name, self.about, self.low, self.high).schema()
        return {"anyOf": [written, {"type": "string", "pattern": f"^{_EXPRESSION}$"}]}


@frozen
class When(Attribute[Condition]):
    """A condition; `default` is what it is where nothing is written."""

    name: str
    about: str
    default: bool | None = None
    xml: str = ""

    def read(self, place: Place, /) -> Condition:
        """The condition."""
        here = place.at(self.name)
        if here.value is None and self.default is not None:
            return Condition(Constant(self.default))
        if isinstance(here.value, bool):
            return Condition(Constant(here.value))
        if not is_written(place, self.name):
            return _NEVER
        return Condition(here.compiled(place.dialect.condition, _NEVER.program))

    def schema(self) -> dict[str, Json]:
        """An expression, or a constant."""
        return {"type": ["string", "boolean"]}


@frozen
class Key(Attribute[Template]):
    """What a counter is kept under: an expression for text. `default` is one in CEL."""

    name: str
    about: str
    default: Template | None = None
    xml: str = ""

    def read(self, place: Place, /) -> Template:
        """How the key is made."""
        here = place.at(self.name)
        if here.value is None and self.default is not None:
            return self.default
        if not is_written(place, self.name):
            return _NOTHING
        key = here.compiled(place.dialect.key, _NOTHING)
        if key.literal:
            here.remark("this is the same for every request: all of them share one counter")
        return key

    def schema(self) -> dict[str, Json]:
        """An expression."""
        return {"type": "string", "minLength": 1}


@frozen
class Templated(Attribute[Template]):
    """Text that may have expressions in it; without a `default` it must be there. It may be empty."""

    name: str
    about: str
    default: str | None = None
    xml: str = ""

    def read(self, place: Place, /) -> Template:
        """The text."""
        here = place.at(self.name)
        if here.value is None:
            if self.default is None:
                place.missing(self.name)
            return Template((self.default,)) if self.default else _NOTHING
        return template_of(here, self.name)

    def schema(self) -> dict[str, Json]:
        """Text."""
        return {"type": "string"}


@frozen
class Value(Attribute[Typed]):
    """A value of any type: written down, or one expression whose value keeps its type."""

    name: str
    about: str
    xml: str = ""
    required: bool = True

    def read(self, place: Place, /) -> Typed:
        """The value, or how it is computed."""
        here = place.at(self.name)
        if isinstance(here.value, bool | int | float):
            return Typed(Constant(here.value))
        if isinstance(here.value, str):
            return here.compiled(place.dialect.typed, Typed(_NOTHING))
        if here.value is None:
            place.missing(self.name)
        else:
            here.note(f"{self.name} must be text, a number, true or false", "write lists and mappings as CEL")
        return Typed(_NOTHING)

    def schema(self) -> dict[str, Json]:
        """A scalar."""
        return {"type": ["string", "number", "boolean"]}


@frozen
class Texts(Attribute["tuple[tuple[Place, str], ...]"]):
    """A list of literal texts, each with its place."""

    name: str
    about: str
    xml: str
    required: bool = False

    def read(self, place: Place, /) -> tuple[tuple[Place, str], ...]:
        """The texts."""
        items = place.items(self.name)
        for item in items:
            if not isinstance(item.value, str):
                item.note("must be text", "put it in quotes")
        if self.required and not items and not place.has(self.name):
            place.missing(self.name)
        return tuple((item, text) for item in items if isinstance(text := item.literal, str))

    def schema(self) -> dict[str, Json]:
        """A list of texts."""
        return {"type": "array", "items": {"type": "string"}}


@frozen
class Templates(Attribute["tuple[Template, ...]"]):
    """Texts that may have expressions in them: one, or a list of them."""

    name: str
    about: str
    xml: str
    required: bool = False

    def read(self, place: Place, /) -> tuple[Template, ...]:
        """The texts."""
        here = place.at(self.name)
        if isinstance(here.value, list):
            return tuple(template_of(item, self.name) for item in place.items(self.name))
        if here.value is None:
            if self.required:
                place.missing(self.name)
            return ()
        return (template_of(here, self.name),)

    def schema(self) -> dict[str, Json]:
        """A text, or a list of them."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


@frozen
class Items(Attribute["tuple[Place, ...]"]):
    """A list of mappings, each with the attributes `fields_`."""

    name: str
    about: str
    xml: str
    fields_: tuple[Attribute[object], ...]
    required: bool = False

    @property
    def fields(self) -> tuple[Attribute[object], ...]:
        """What each item holds."""
        return self.fields_

    def read(self, place: Place, /) -> tuple[Place, ...]:
        """Where each item stands; a mapping alone is a list of one."""
        here = place.at(self.name)
        items = (here,) if isinstance(here.value, dict) else place.items(self.name)
        if self.required and not items:
            place.missing(self.name)
        for item in items:
            item.only(self.fields_)
        return tuple(item for item in items if isinstance(item.value, dict))

    def schema(self) -> dict[str, Json]:
        """A list of mappings, or one."""
        one: Json = mapping_schema(self.fields_)
        return {"anyOf": [{"type": "array", "items": one}, one]}


@frozen
class Steps(Attribute["tuple[Step, ...]"]):
    """Elements that stand inside this one."""

    name: str
    about: str
    xml: str = "*"
    required: bool = False

    def read(self, place: Place, /) -> tuple[Step, ...]:
        """The elements, numbered below the rule of `place`."""
        if self.required and isinstance(place.value, dict) and place.at(self.name).value is None:
            place.note(f"{self.name} is missing", f"add {self.name}: [ … ]; [] to do nothing")
        return place.steps(self.name)

    def schema(self) -> dict[str, Json]:
        """A list of steps."""
        return {"type": "array", "items": {"$ref": "#/$defs/step"}}


def mapping_schema(attributes: tuple[Attribute[object], ...]) -> dict[str, Json]:
    """The JSON Schema of a mapping with these attributes and no others."""
    properties: dict[str, Json] = {
        attribute.name: {**attribute.schema(), "description": attribute.about} for attribute in attributes
    }
    required: list[Json] = [attribute.name for attribute in attributes if attribute.is_required]
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def is_written(place: Place, name: str) -> bool:
    """Whether text that is not empty stands under `name`; noted where it does not."""
    here = place.at(name)
    if isinstance(here.value, str) and here.value:
        return True
    if here.value:
        here.note(f"{name} must be text", "put it in quotes")
    elif here.value is not None:
        here.note(f"{name} must be text that is not empty")
    else:
        place.missing(name)
    return False


def whole_number(place: Place) -> int | None:
    """The whole number that is written at `place`; in XML, and where a named value stands for it, it is text."""
    value = place.literal
    as_text = place.dialect.xml or value != place.value
    if as_text and isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value) if len(value) <= 18 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def template_of(place: Place, name: str) -> Template:
    """The text at `place`, which may have expressions in it."""
    if not isinstance(place.value, str):
        place.note(f"{name} must be text", "put it in quotes")
        return _NOTHING
    return place.compiled(place.dialect.template, _NOTHING)
