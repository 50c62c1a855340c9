"""`@frozen`: a dataclass that is frozen and slotted, cheap to define and cheap to make.

It is what `dataclass(frozen=True, slots=True)` gives, but for two things. That one writes and compiles six methods for
each class where the class is defined, which was a third of the time it took to load; here all classes share theirs, and
an `__init__` is written when the first of its values is made. And that one's `__init__` calls object.__setattr__ for
each field, which was a sixth of what a governed call cost; this one makes an object of an open twin class, with the
same slots and nothing that forbids, sets the fields as any object's are set, and closes it by giving it its own class.
Nobody else sees it open. As dataclasses does, it writes the text of `__init__` from the names of the fields, and from
nothing else.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """The class as such a dataclass; a method that it has of its own stays. No field of it is only for `__init__`."""
    closed: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    if "__init__" not in vars(cls):
        _made_by_fields(closed)
    if "__repr__" not in vars(cls):
        closed.__repr__ = _repr
    if "__eq__" not in vars(cls):
        _compared_by_fields(closed)
    closed.__setattr__, closed.__delattr__ = _refuse_setting, _refuse_deleting
    closed.__getstate__, closed.__setstate__ = _state, _restore
    return closed


def _made_by_fields(closed: Any) -> None:
    """Give it an `__init__` that is written when it is first called, and anew once another class derives from it."""

    def init(self: Any, *given: Any, **named: Any) -> None:
        closed.__init__ = _written(closed, alone=closed.__bases__ == (object,) and not closed.__subclasses__())
        closed.__init__(self, *given, **named)

    def derived(other: type) -> None:
        super(closed, other).__init_subclass__()
        closed.__init__ = init

    closed.__init__, closed.__init_subclass__ = init, classmethod(derived)


def _compared_by_fields(closed: Any) -> None:
    """Give it an `__eq__` and a `__hash__`."""
    compared = _getter([one.name for one in fields(closed) if one.compare])
    hashed = _getter([one.name for one in fields(closed) if (one.compare if one.hash is None else one.hash)])

    def equal(self: object, other: object) -> Any:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_(self: object) -> int:
        return hash(hashed(self))

    closed.__eq__, closed.__hash__ = equal, hash_


def _getter(names: list[str]) -> Callable[[Any], object]:
    """What takes these fields out of a value."""
    return attrgetter(*names) if names else lambda _: ()


def _written(closed: Any, *, alone: bool) -> Any:
    """The `__init__` of a class: of one that is alone with a twin; of one that derives from another, or from which one
    derives, with each field set past what forbids it, as no twin has the slots of both.
    """
    known: dict[str, Any] = {"CLOSED": closed, "SET": object.__setattr__, "MISSING": MISSING}  # no field is in capitals
    parameters, lines = ["self"], list[str]()
    for one in filter(lambda one: one.init, fields(closed)):
        parameters.append(_parameter(one, known))
        made = f"MADE_{one.name}() if {one.name} is MISSING else " if one.default_factory is not MISSING else ""
        lines.append(f" self.{one.name} = {made}{one.name}" if alone else f" SET(self, {one.name!r}, {made}{one.name})")
    if alone:
        known["OPENED"] = type(closed.__name__, (), {"__slots__": closed.__slots__})
        lines = [" SET(self, '__class__', OPENED)", *lines, " self.__class__ = CLOSED"]
    if hasattr(closed, "__post_init__"):
        lines.append(" self.__post_init__()")
    exec("\n".join((f"def __init__({', '.join(parameters)}):", *lines, " pass")), known)
    init = known["__init__"]
    init.__qualname__ = f"{closed.__qualname__}.__init__"
    return init


def _parameter(one: Field[Any], known: dict[str, Any]) -> str:
    """How a field stands in the head of `__init__`; its default, or what makes it, joins what is `known` there."""
    if one.default_factory is not MISSING:
        known[f"MADE_{one.name}"] = one.default_factory
        return f"{one.name}=MISSING"
    if one.default is MISSING:
        return one.name
    known[f"DEFAULT_{one.name}"] = one.default
    return f"{one.name}=DEFAULT_{one.name}"


def _repr(self: Any) -> str:
    told = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({told})"


def _refuse_setting(_: object, name: str, __: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(_: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    """What a copy is made of."""
    return [getattr(self, one.name) for one in fields(self)]


def _restore(self: Any, state: list[object]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
